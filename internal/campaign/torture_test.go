package campaign

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"meibo/scim"
)

// The torture's size and seed; the default size goes by form.
var (
	tortureN    = flag.Int("torture-n", 0, "how many malformed requests TestTorture sends to each database; 0: what the form says")
	tortureSeed = flag.Uint64("torture-seed", 1, "seed of TestTorture: the same seed sends the same requests")
)

const (
	tortureSlowest = time.Second
	tortureGrowth  = 64 << 20
	tortureGuns    = 8
	tortureRarely  = 10    // one in so many turns of a rare mutation is taken
	tortureStride  = 7_919 // a prime: neighbours in the list are not sent one after the other
	tortureFaults  = 1_000 // wrong answers after which a run gives up
)

// TestTorture sends malformed requests, each one mutation of a request that would succeed, with a valid token. All must
// be refused as the mutation's row says, but for those in the table of tolerated ones; nothing may change, grow or be slow.
func TestTorture(t *testing.T) {
	concurrently(t)
	each(t, func(t *testing.T, db database) {
		if !*full && *tortureN == 0 && db.name != databases[0].name {
			return // what is malformed hardly reaches a database: the short form asks one
		}
		f := report(t, "torture", db.name)
		n := cmp.Or(*tortureN, times(2_000, 100_000))
		x := newTorture(t, start(t, db.fresh(t)), *tortureSeed)
		x.checkCorpus()
		before, state := x.server.vitals(), x.firm.state(t)
		slowly := x.drip(times(12, 200))
		x.run(n)
		slow := x.finish(slowly)
		after := x.settle(before)
		changed := "the store unchanged"
		if now := x.firm.state(t); now != state {
			changed = "THE STORE CHANGED"
			t.Errorf("the store has changed: %s, was %s", now, state)
		}
		x.checkLog()
		t.Log("\n" + x.table())
		f.done, f.times = "malformed requests sent", n
		f.seen = fmt.Sprintf("%d wrong answers, %d 5xx (%d more where HTTP demands 501 or 505), %s; %s; slowest %v; memory %d → %d MiB, at most %d; goroutines %d → %d; %.0f/s; seed %d",
			x.wrong.Load(), x.serverErrors(), x.demanded(), changed, slow, x.slowest.took.Round(time.Millisecond), before.memory>>20, after.memory>>20, x.server.peak()>>20, before.goroutines, after.goroutines, x.rate, *tortureSeed)
	})
}

// torture is one run.
type torture struct {
	t           *testing.T
	server      *server
	firm, loose *sandbox // what must not change, and what tolerated mutations may change
	seed        uint64
	corpus      []wellFormed
	mutations   []mutation
	fitting     [][]wellFormed // for each mutation the requests that it can spoil

	wrong   atomic.Int64
	rate    float64
	mu      sync.Mutex
	told    map[string]bool        // mutations that went wrong
	counts  map[string]map[int]int // family → status → answers
	slowest struct {
		took time.Duration
		what string
	}
}

func newTorture(t *testing.T, s *server, seed uint64) *torture {
	x := &torture{t: t, server: s, seed: seed, corpus: corpus(), mutations: mutations(), counts: map[string]map[int]int{}}
	s.run("tenant", "create", "loose")
	x.firm, x.loose = newSandbox(t, s, s.Tenant, s.Token), newSandbox(t, s, "loose", s.token("loose"))
	slices.SortFunc(x.mutations, func(a, b mutation) int { return cmp.Compare(a.String(), b.String()) }) // some come out of maps
	for i, m := range x.mutations {
		if i > 0 && m.String() == x.mutations[i-1].String() {
			t.Errorf("two mutations are called %s", m)
		}
		fits := slices.DeleteFunc(slices.Clone(x.corpus), func(w wellFormed) bool { return !m.fits(x.example(w)) })
		if len(fits) == 0 {
			t.Fatalf("no request fits %s", m)
		}
		x.fitting = append(x.fitting, fits)
	}
	for name := range tolerated {
		if !slices.ContainsFunc(x.mutations, func(m mutation) bool { return m.String() == name }) {
			t.Fatalf("no mutation is called %s", name)
		}
	}
	return x
}

func (x *torture) example(w wellFormed) *shot {
	return w.make(x.firm, rand.New(rand.NewPCG(1, 1)), "example")
}

// newSandbox fills a tenant.
func newSandbox(t *testing.T, s *server, tenant, token string) *sandbox {
	t.Helper()
	c := s.clientOf(tenant, token)
	defer c.close()
	b := &sandbox{host: s.host(), base: c.base, token: token}
	for i := range 20 {
		name := fmt.Sprintf("seed-%d@contoso.example", i)
		body := newcomer(fmt.Sprintf("seed-%d", i))
		body["userName"] = name
		b.users = append(b.users, seeded{wantOutcome(t, c.createUser(body), acknowledged).id(), name})
	}
	for i := range 5 {
		name := fmt.Sprintf("Seed %d", i)
		id := wantOutcome(t, c.createGroup(name), acknowledged).id()
		for _, u := range b.users[i : i+5] {
			wantOutcome(t, c.addMembers(id, u.id), acknowledged)
		}
		b.groups = append(b.groups, seeded{id, name})
	}
	return b
}

// state is a digest of everything that a client can read of a sandbox.
func (b *sandbox) state(t *testing.T) string {
	t.Helper()
	c := &client{address: b.host, base: b.base, token: b.token}
	defer c.close()
	digest := sha256.New()
	for _, endpoint := range []string{"/Users", "/Groups"} {
		for at := 1; ; at += 1000 {
			a := wantOutcome(t, c.page(endpoint, at, 1000), acknowledged)
			total, _, _ := a.list()
			digest.Write(a.Body)
			if at+1000 > total {
				break
			}
		}
	}
	return hex.EncodeToString(digest.Sum(nil))
}

// checkCorpus sends every well-formed request once: all must succeed, or mutations prove nothing.
func (x *torture) checkCorpus() {
	x.t.Helper()
	g := &gun{address: x.server.host()}
	defer g.drop()
	for i, w := range x.corpus {
		s := w.make(x.loose, rand.New(rand.NewPCG(x.seed, uint64(i))), fmt.Sprintf("corpus-%d", i))
		if s.shape == deleting {
			continue // its resource is needed; that DELETE works is seen in all other tests
		}
		if got, err := g.fire(s); err != nil || got.status != s.success {
			x.t.Fatalf("%s is no well-formed request: %d, want %d (%v): %s\n%s", w.name, got.status, s.success, err, got.body, s.bytes())
		}
	}
}

// run sends n shots.
func (x *torture) run(n int) {
	began := time.Now()
	var next atomic.Int64
	var guns sync.WaitGroup
	for range tortureGuns {
		guns.Go(func() {
			g := &gun{address: x.server.host()}
			defer g.drop()
			for i := next.Add(1) - 1; i < int64(n) && x.wrong.Load() < tortureFaults; i = next.Add(1) - 1 {
				x.shoot(g, uint64(i))
			}
		})
	}
	guns.Wait()
	x.rate = float64(n) / time.Since(began).Seconds()
}

// shoot sends shot i of the run, which the seed and i alone decide.
func (x *torture) shoot(g *gun, i uint64) {
	rng := rand.New(rand.NewPCG(x.seed, i))
	at := int(i) % len(x.mutations) * tortureStride % len(x.mutations)
	if round := int(i) / len(x.mutations); x.mutations[at].rare && round%tortureRarely != 0 {
		for x.mutations[at].rare {
			at = rng.IntN(len(x.mutations))
		}
	}
	m := x.mutations[at]
	w := x.fitting[at][rng.IntN(len(x.fitting[at]))]
	leave, isTolerated := tolerated[m.String()]
	box := x.firm
	if isTolerated {
		box = x.loose
	}
	s := w.make(box, rng, fmt.Sprintf("%d-%d", x.seed, i))
	m.spoil(rng, s)
	got, err := g.fire(s)
	x.count(m, w, got)
	wrong := ""
	switch {
	case err != nil:
		wrong = err.Error()
	case isTolerated:
		wrong = judgeTolerated(s, leave, got)
	default:
		wrong = judge(s, m, got)
	}
	if wrong == "" && got.took > x.limit() {
		wrong = fmt.Sprintf("took %v", got.took)
	}
	if wrong != "" {
		x.wrong.Add(1)
	}
	if wrong != "" && x.first(m) {
		x.t.Errorf("seed %d, shot %d, %s of %q: %s\nanswered %d: %.500s\n%.3000q", x.seed, i, m, w.name, wrong, got.status, got.body, s.bytes())
	}
}

// first reports whether a mutation has gone wrong for the first time: one report of each is enough.
func (x *torture) first(m mutation) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.told == nil {
		x.told = map[string]bool{}
	}
	again := x.told[m.String()]
	x.told[m.String()] = true
	return !again
}

// limit is how long an answer may take. The short form runs beside other tests and knows no clock.
func (x *torture) limit() time.Duration {
	if *full || *tortureN > 0 {
		return tortureSlowest
	}
	return tortureTimeout
}

func (x *torture) count(m mutation, w wellFormed, got impact) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.counts[m.family] == nil {
		x.counts[m.family] = map[int]int{}
	}
	x.counts[m.family][got.status]++
	if got.took > x.slowest.took {
		x.slowest.took, x.slowest.what = got.took, fmt.Sprintf("%s of %q", m, w.name)
	}
}

// judge holds an answer to the row of its mutation.
func judge(s *shot, m mutation, got impact) string {
	switch {
	case got.status != m.status:
		return fmt.Sprintf("status %d, want %d", got.status, m.status)
	case s.method == http.MethodHead || m.by == bySilence:
		return ""
	case m.by == byLibrary:
		return judgeLibrary(got)
	case m.by == byFront:
		return judgeProblem(got)
	default:
		return judgeSCIM(m, got)
	}
}

// judgeLibrary: what net/http answers by itself is its text, and none of ours.
func judgeLibrary(got impact) string {
	if got.correlation != "" || strings.Contains(got.contentType, "json") {
		return "a handler has answered"
	}
	return ""
}

func judgeProblem(got impact) string {
	var problem struct {
		Status int
		Detail string
	}
	if err := json.Unmarshal(got.body, &problem); err != nil || got.contentType != "application/problem+json" || problem.Status != got.status || problem.Detail == "" {
		return "the answer is no problem document"
	}
	return ""
}

func judgeSCIM(m mutation, got impact) string {
	var fault struct {
		Schemas          []string
		Status           string
		SCIMType, Detail string
	}
	switch err := json.Unmarshal(got.body, &fault); {
	case err != nil, got.contentType != "application/scim+json", !slices.Equal(fault.Schemas, []string{scim.ErrorSchema}), fault.Status != strconv.Itoa(got.status), fault.Detail == "":
		return "the answer is no SCIM error"
	case fault.SCIMType != m.typ:
		return fmt.Sprintf("scimType %q, want %q", fault.SCIMType, m.typ)
	case got.correlation == "":
		return "the answer has no correlation id"
	default:
		return ""
	}
}

func judgeTolerated(s *shot, leave toleration, got impact) string {
	if want := cmp.Or(leave.status, s.success); got.status != want {
		return fmt.Sprintf("status %d, want %d, since %s", got.status, want, leave.why)
	}
	return ""
}

// TestTortureJudges plants wrong answers: none may pass for right.
func TestTortureJudges(t *testing.T) {
	t.Parallel()
	right := impact{status: 400, contentType: "application/scim+json", correlation: "x",
		body: []byte(`{"schemas":["` + scim.ErrorSchema + `"],"status":"400","scimType":"invalidPath","detail":"x"}`)}
	m := mutation{status: 400, typ: "invalidPath"}
	with := func(change func(*impact)) impact {
		got := right
		change(&got)
		return got
	}
	if wrong := judge(&shot{}, m, right); wrong != "" {
		t.Errorf("a right answer: %s", wrong)
	}
	for name, got := range map[string]impact{
		"accepted":           with(func(i *impact) { i.status = 200 }),
		"another refusal":    with(func(i *impact) { i.status = 404 }),
		"server error":       with(func(i *impact) { i.status = 500 }),
		"silence":            with(func(i *impact) { i.status = 0 }),
		"another media type": with(func(i *impact) { i.contentType = "application/json" }),
		"no correlation":     with(func(i *impact) { i.correlation = "" }),
		"no body":            with(func(i *impact) { i.body = nil }),
		"text":               with(func(i *impact) { i.body = []byte("400 Bad Request") }),
		"another status":     with(func(i *impact) { i.body = bytes.Replace(i.body, []byte(`"400"`), []byte(`"500"`), 1) }),
		"another type":       with(func(i *impact) { i.body = bytes.Replace(i.body, []byte("invalidPath"), []byte("invalidValue"), 1) }),
		"no detail":          with(func(i *impact) { i.body = bytes.Replace(i.body, []byte(`"detail":"x"`), []byte(`"detail":""`), 1) }),
	} {
		if judge(&shot{}, m, got) == "" {
			t.Errorf("%s passes for right", name)
		}
	}
	if judge(&shot{}, mutation{status: 400, by: byLibrary}, right) == "" || judge(&shot{}, mutation{status: 400, by: byFront}, right) == "" {
		t.Error("an answer of the endpoint passes for one of the library or of the front")
	}
	if judgeTolerated(&shot{success: 201}, toleration{}, right) == "" {
		t.Error("a refusal passes for tolerance")
	}
}

// settle waits until memory and goroutines are back, or have had their time: Go gives memory back in the background.
func (x *torture) settle(before vital) vital {
	x.t.Helper()
	deadline := time.Now().Add(3 * time.Minute)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		now := x.server.vitals()
		grown, leaked := now.memory-before.memory, now.goroutines-before.goroutines
		if grown < tortureGrowth && leaked <= 2 {
			return now
		}
		if time.Now().After(deadline) {
			x.t.Errorf("grown by %d MiB and %d goroutines", grown>>20, leaked)
			return now
		}
		<-tick.C
	}
}

// checkLog: what no answer shows is in the log.
func (x *torture) checkLog() {
	x.t.Helper()
	for _, word := range []string{`"level":"error"`, `"message":"panic"`, "http: panic"} {
		if line, ok := x.loggedLine(word); ok {
			x.t.Errorf("the log has %s", line)
		}
	}
}

// serverErrors counts the answers 500 to 599 but for those that HTTP or SCIM demands.
func (x *torture) serverErrors() int { return x.between(500, 599) - x.demanded() }

// demanded counts the 501 of announced routes and unknown transfer codings, and the 505 of other versions of HTTP.
func (x *torture) demanded() int { return x.between(501, 501) + x.between(505, 505) }

func (x *torture) between(least, most int) (n int) {
	for _, statuses := range x.counts {
		for status, count := range statuses {
			if least <= status && status <= most {
				n += count
			}
		}
	}
	return n
}

// table prints the answers by family and status.
func (x *torture) table() string {
	var b strings.Builder
	for _, family := range slices.Sorted(maps.Keys(x.counts)) {
		fmt.Fprintf(&b, "%-10s", family)
		for _, status := range slices.Sorted(maps.Keys(x.counts[family])) {
			fmt.Fprintf(&b, "  %d: %d", status, x.counts[family][status])
		}
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "slowest: %v, %s\n", x.slowest.took, x.slowest.what)
	return b.String()
}
