package drill

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Scenario is the name of a story: some days in a company on which the server's rules are put to the test.
type Scenario string

// The scenarios. What each expects depends on the preset; see rules.
const (
	MassDisable         Scenario = "mass-disable"          // five in six are disabled at once; a person lets them go
	MassDisableRejected Scenario = "mass-disable-rejected" // the same, and a person says that they stay
	LeaverReturns       Scenario = "leaver-returns"        // disabled or deleted, and back again
	RecycledUserName    Scenario = "recycled-username"     // somebody new gets a leaver's userName
	Rename              Scenario = "rename"                // new userNames, in another case, and swapped
	AdminDisabled       Scenario = "admin-disabled"        // administrators are disabled and deleted
	Restart             Scenario = "restart"               // the initial cycle again, over everything
)

// Scenarios lists the scenarios in the order of their names.
func Scenarios() []Scenario { return slices.Sorted(maps.Keys(stories)) }

// Person does what only a person can do, in the tenant of the drill. Its errors end the run.
type Person interface {
	// Allow lets n more users leave now, beyond any tolerance, and lets those go who are held.
	Allow(ctx context.Context, n int) error
	// Reject says that all who wait to leave stay.
	Reject(ctx context.Context) error
	// MakeAdmin gives a user the role admin.
	MakeAdmin(ctx context.Context, userID string) error
}

// Host sees the tenant as the host application does.
type Host interface {
	// View reads an account by the id that the client knows, whether or not the client still sees it. found is false where
	// there is none. Its error ends the run.
	View(ctx context.Context, userID string) (a Account, found bool, err error)
	// Members lists the ids that a group lists, whatever became of them. Its error ends the run.
	Members(ctx context.Context, groupID string) ([]string, error)
}

// Account is a user as the host application sees it.
type Account struct {
	State    string // active, suspended, held or removed
	Role     string
	UserName string
}

// story is how a scenario is played.
type story struct {
	users, groups, members int
	allActive              bool // nobody is disabled from the start
	play                   func(*drill, context.Context)
}

var stories = map[Scenario]story{
	MassDisable:         {600, 6, 900, true, (*drill).massDisable},
	MassDisableRejected: {600, 6, 900, true, (*drill).massDisableRejected},
	LeaverReturns:       {80, 8, 300, false, (*drill).leaversReturn},
	RecycledUserName:    {80, 8, 300, false, (*drill).recycleNames},
	Rename:              {80, 8, 300, false, (*drill).renameSome},
	AdminDisabled:       {80, 8, 300, false, (*drill).disableAdmins},
	Restart:             {80, 8, 300, false, (*drill).restart},
}

// story finds the scenario of the options; the zero story stands for a whole job.
func (o *Options) story() (story, error) {
	if o.Scenario == "" {
		if o.Preset != "" {
			return story{}, fmt.Errorf("preset %q: it says what a scenario expects; name a scenario or leave it out", o.Preset)
		}
		return story{}, nil
	}
	s, known := stories[o.Scenario]
	if !known {
		return s, fmt.Errorf("scenario %q: use one of %s", o.Scenario, words(Scenarios()))
	}
	if _, known := presets[o.Preset]; !known {
		return s, fmt.Errorf("preset %q: use one of %s, or none for the default", o.Preset, words(slices.Sorted(maps.Keys(presets))[1:]))
	}
	return s, nil
}

func words[T ~string](list []T) string {
	text := make([]string, len(list))
	for i, w := range list {
		text[i] = string(w)
	}
	return strings.Join(text, ", ")
}

// sizes are those of the options where they name one, or else the story's own.
func (s story) sizes(o Options) (users, groups, members int) {
	if o.Users == 0 && o.Groups == 0 && o.Members == 0 && s.users != 0 {
		return s.users, s.groups, s.members
	}
	return orElse(o.Users, defaultUsers), o.Groups, o.Members
}

// tell plays a story between two steady cycles, then compares everything with everybody's view of it, twice: the second
// time nothing may be left to mend.
func (d *drill) tell(ctx context.Context, s story) {
	for _, p := range d.company.people {
		p.active = p.active || s.allActive
		p.lot.bornInactive = !p.active
	}
	for _, p := range slices.Concat(d.company.people, d.company.hires) {
		p.lot.firstName = p.attrs["userName"]
	}
	d.initialCycle(ctx)
	d.rollCall(ctx)
	s.play(d, ctx)
	d.rollCall(ctx)
	d.steadyCycle(ctx)
	d.walks(ctx)
}

// rollCall compares everything that the client and the host application see with what they must see.
func (d *drill) rollCall(ctx context.Context) {
	d.steadyCycle(ctx)
	d.checkMembers(ctx)
	if d.opt.Host == nil {
		d.rep.skip("what the host application sees: nobody can look; give an API key")
		return
	}
	known := slices.DeleteFunc(d.everybody(), func(p *person) bool { return p.state == unlinked || p.state == failed })
	each(ctx, d, "the host application's view: users", known, d.look)
	teams := slices.DeleteFunc(slices.Clone(d.company.teams), func(t *team) bool { return t.state != linked })
	each(ctx, d, "the host application's view: groups", teams, d.lookAtTeam)
}

// look holds the host application's view of a person against the rules.
func (d *drill) look(ctx context.Context, p *person) {
	a, found, err := d.opt.Host.View(ctx, p.id)
	if err != nil {
		d.stop(fmt.Errorf("look at %s as the host application: %w", p.id, err))
		return
	}
	d.rep.sighted()
	want := d.rules.sight(p)
	about := func(what any) string { return fmt.Sprintf("user %s: %v", p.id, what) }
	switch {
	case !found && p.lot.purged:
		return
	case !found:
		d.report(nil, hostUnknown, about(want.State), about("unknown"))
		return
	case a.State != want.State:
		d.report(nil, hostState, about(want.State), about(a.State))
	}
	if p.lot.purged {
		return
	}
	if a.Role != want.Role {
		d.report(nil, hostRole, about(want.Role), about(a.Role))
	}
	if want.UserName != "" && a.UserName != want.UserName {
		d.report(nil, hostName, about(want.UserName), about(a.UserName))
	}
}

// lookAtTeam holds a group's members in the host application's view against the directory. It lists leavers too: who comes
// back finds the memberships as they were.
func (d *drill) lookAtTeam(ctx context.Context, t *team) {
	got, err := d.opt.Host.Members(ctx, t.id)
	if err != nil {
		d.stop(fmt.Errorf("look at group %s as the host application: %w", t.id, err))
		return
	}
	var want []string
	doubtful := map[string]bool{} // nothing may be left of them
	for p := range t.members {
		doubtful[p.former] = true
		if p.id != "" {
			want = append(want, p.id)
			doubtful[p.id] = p.lot.purged || p.state == failed
		}
	}
	certain := func(ids []string) []string {
		return slices.DeleteFunc(slices.Sorted(slices.Values(ids)), func(id string) bool { return doubtful[id] })
	}
	if want, got = certain(want), certain(got); !slices.Equal(want, got) {
		d.report(nil, hostMembers, fmt.Sprintf("group %s: %d members", t.id, len(want)),
			fmt.Sprintf("%d, of whom %v should not be there, and without %v", len(got), subtract(got, want), subtract(want, got)))
	}
}

// asPerson does a person's act, or notes that nobody is there to do it.
func (d *drill) asPerson(ctx context.Context, what string, act func(context.Context, Person) error) bool {
	if ctx.Err() != nil {
		return false
	}
	if d.opt.Person == nil {
		d.rep.skip(what + ": nobody is there to do it; give an API key")
		return false
	}
	if err := act(ctx, d.opt.Person); err != nil {
		d.stop(fmt.Errorf("%s: %w", what, err))
		return false
	}
	return true
}

// some draws people who fit: one in parts of the company, at least two of them, and no more than may leave.
func (d *drill) some(parts int, fits func(*person) bool) []*person {
	activeUsers := 0
	for _, p := range d.company.people {
		if p.active {
			activeUsers++
		}
	}
	n := min(max(share(d.opt.Users, parts), 2), d.rules.lets(activeUsers))
	var drawn []*person
	for _, p := range shuffled(d.rng, d.company.people) {
		if len(drawn) < n && fits(p) {
			drawn = append(drawn, p)
		}
	}
	return drawn
}

// gone notes that an account left. Without a grace time nothing may be left of it but what the client asserts.
func (d *drill) gone(p *person) { p.lot.purged = d.rules.purges && !p.lot.admin }

// back puts somebody who was purged into the groups again: nothing else can.
func (d *drill) back(ctx context.Context, p *person) {
	if !p.lot.purged || p.state != linked {
		return
	}
	for _, t := range p.teams {
		d.patchAs(ctx, groups, t.id, d.opt.Dialect.addMembers([]string{p.id}), memberAddPresent)
	}
	p.lot.purged = false
}

// isLeafMember are those whose departure shows in groups and leaves nobody without a manager.
func isLeafMember(p *person) bool { return isLeaf(p) && len(p.teams) > 0 }
