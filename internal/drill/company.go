package drill

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// company is the directory that the drill provisions: the truth against which every answer is held. The seed alone decides it.
type company struct {
	mark   string    // in every name, so that companies of different seeds can live on one server
	people []*person // in scope from the start; people[0] is the root of the manager tree
	hires  []*person // join in incremental cycles
	heirs  []*person // new people who get the userName of a leaver; planned per cycle
	teams  []*team
}

// person is one user of the directory and, once linked, what the server was told about it.
// One worker at a time owns a person; only id is read by others, and only in phases that do not write it.
type person struct {
	number   int // picks among equivalent spellings
	objectID string
	attrs    map[string]string // mapped target path → value; an absent path is never sent
	active   bool
	manager  *person // nil for a root
	reports  int     // how many people have this manager; leavers have none
	added    int     // roles given beside the primary one

	// What the plan of the running incremental cycle says.
	teams       []*team // memberships at its start
	nextManager *person
	heir        *person // gets the userName when this one leaves
	rehired     bool

	// What a scenario knows of the account beside what the client asserts.
	lot lot

	id     string // given by the server; "" while not linked
	former string // the id before the last DELETE, if it was another
	state  presence
}

// presence is where a person or team is in its life on the server.
type presence int

const (
	unlinked presence = iota // not created yet
	linked
	deleted // the server confirmed the DELETE
	failed  // a fault was named; the object is left alone
)

// team is one group of the directory. One worker at a time owns it.
type team struct {
	objectID string
	name     string
	members  map[*person]bool
	foreign  []string // ids found in a group that existed before the run; removed with the references

	// What the plan of the running incremental cycle says.
	arrivals  []*person // to be added, some of them again
	outsiders []*person // not members so far, to be added and removed at will

	id    string
	state presence
}

// newCompany builds the company that rng draws. members is the total over all groups and must not exceed users × groups.
func newCompany(rng *rand.Rand, users, groups, members, hires int) *company {
	c := &company{mark: fmt.Sprintf("%05x", rng.Uint32()>>12)}
	for i := range users {
		c.people = append(c.people, c.newPerson(rng, i))
	}
	for i := range hires {
		c.hires = append(c.hires, c.newPerson(rng, users+i))
	}
	c.plantManagers(rng)
	for i, size := range teamSizes(users, groups, members) {
		c.teams = append(c.teams, &team{
			objectID: guid(rng), name: fmt.Sprintf(groupNames[i%len(groupNames)], fmt.Sprintf("%d-%s", i+1, c.mark)), members: sample(rng, c.people, size),
		})
	}
	return c
}

// plantManagers makes the managers a tree: each person reports to somebody earlier, mostly near the root.
func (c *company) plantManagers(rng *rand.Rand) {
	for i, p := range slices.Concat(c.people, c.hires) {
		if i == 0 || i%29 == 0 {
			continue
		}
		p.setManager(c.people[rng.IntN(max(1, min(i, len(c.people))/3+1))])
	}
}

func (p *person) setManager(m *person) {
	if p == m {
		return
	}
	if p.manager != nil {
		p.manager.reports--
	}
	p.manager = m
	if m != nil {
		m.reports++
	}
}

// newPerson makes person number i: every mapped attribute for most, no mail for one in eleven, not active for one in seventeen.
func (c *company) newPerson(rng *rand.Rand, i int) *person {
	given, family := pick(rng, givenNames), pick(rng, surnames)
	userName := c.userName(rng, i)
	city := pick(rng, cities)
	p := &person{number: i, objectID: guid(rng), active: i%17 != 16}
	p.attrs = map[string]string{
		"userName":          userName,
		"externalId":        p.objectID,
		"displayName":       given + " " + family,
		"title":             pick(rng, jobTitles),
		"preferredLanguage": pick(rng, languages),
		"name.givenName":    given,
		"name.familyName":   family,
		"name.formatted":    given + " " + family,

		workAddress("formatted"):     pick(rng, offices),
		workAddress("streetAddress"): pick(rng, streets),
		workAddress("locality"):      city[0],
		workAddress("region"):        city[1],
		workAddress("postalCode"):    city[2],
		workAddress("country"):       city[3],

		phone("work"):   fmt.Sprintf("+49 (0)221 / %06d", rng.IntN(1_000_000)),
		phone("mobile"): fmt.Sprintf("+81-90-%04d-%04d", rng.IntN(10_000), rng.IntN(10_000)),
		phone("fax"):    fmt.Sprintf("555 %04d x%d", rng.IntN(10_000), i),

		enterprise("employeeNumber"): fmt.Sprintf("%07d", i+1), // leading zeros must survive
		enterprise("department"):     pick(rng, departments),
	}
	if i%11 != 10 {
		p.attrs[workMail] = c.mail(userName, i)
	}
	if i%13 == 5 {
		delete(p.attrs, phone("fax"))
	}
	if i%7 == 3 {
		p.attrs[primaryRole] = pick(rng, roles)
	}
	return p
}

// userName varies spelling and special characters; number and mark keep names apart under any folding.
func (c *company) userName(rng *rand.Rand, i int) string {
	local := [...]string{"Anna.Berg", "o'brien", "first+last", "jürgen", "a.very.long.local-part_with~marks", `"quoted name"`, "UPPER", "guest#EXT#", "ゆき"}
	return fmt.Sprintf("%s.%d-%s@%s", local[i%len(local)], i, c.mark, pick(rng, domains))
}

// mail is the userName for one in three, and otherwise an address of its own.
func (c *company) mail(userName string, i int) string {
	if i%3 == 0 {
		return userName
	}
	return fmt.Sprintf("Mail+%d.o'%s@Contoso.com", i, c.mark)
}

// teamSizes splits the total over the groups: a few large ones and a long tail, as companies have. The sum is exact.
func teamSizes(users, groups, members int) []int {
	sizes := make([]int, groups)
	left := members
	for i := range sizes {
		share := left * 2 / (groups - i + 1) // the largest first; the last takes all that is left
		floor := left - users*(groups-i-1)   // what those after it could not hold
		sizes[i] = max(min(share, users), floor, 0)
		left -= sizes[i]
	}
	return sizes
}

// sample draws n distinct people.
func sample(rng *rand.Rand, people []*person, n int) map[*person]bool {
	drawn := make(map[*person]bool, n)
	if n*2 >= len(people) {
		for _, i := range rng.Perm(len(people))[:n] {
			drawn[people[i]] = true
		}
		return drawn
	}
	for len(drawn) < n {
		drawn[pick(rng, people)] = true
	}
	return drawn
}

func pick[T any](rng *rand.Rand, from []T) T { return from[rng.IntN(len(from))] }

// guid makes a random UUID (version 4) that holds a letter, so that its case can be changed.
func guid(rng *rand.Rand) string {
	var b [16]byte
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	b[0] = b[0]&0x0f | 0xa0
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	s := hex.EncodeToString(b[:])
	return strings.Join([]string{s[:8], s[8:12], s[12:16], s[16:20], s[20:]}, "-")
}
