package campaign

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"
)

const (
	neighbourNoisy   = 8 // clients, which ignore Retry-After
	neighbourQuiet   = 4 // clients of the other tenant
	neighbourUsers   = 40
	neighbourAllowed = 1.5 // times the quiet p99
)

// TestNoisyNeighbour: a connection far over its rate is refused, and another tenant does not feel it. Turns beside a
// connection within its rate show what of the difference is the work that the noisy one may have done.
func TestNoisyNeighbour(t *testing.T) {
	concurrently(t)
	each(t, func(t *testing.T, db database) {
		f := report(t, "noisy neighbour", db.name)
		limit := times(50, 200) // requests a second and connection; 200 is the default, and more than a busy machine may do
		n := newNeighbours(t, db, limit)
		turns, length := times(1, 5), time.Duration(times(1, 5))*time.Second
		// The noise is five times what it may be, not all that a loop could make: client and server share the machine, and
		// a client's own work is no fault of the server's.
		quiet, within, noisy := &beside{}, &beside{perSecond: limit * 9 / 10}, &beside{perSecond: 5 * limit}
		n.turn(length, &beside{}) // warms up
		for range turns {
			n.turn(length, quiet)
			n.turn(length, within)
			n.turn(length, noisy)
		}
		ratio := noisy.times(quiet)
		f.done, f.times = "quiet and noisy turns", turns
		f.seen = fmt.Sprintf("0 refused of the %d requests of the quiet tenant; p99 alone %v, beside %d/s of another %.2f times, beside %.0f/s of which %.0f %% refused %.2f times (%v)",
			n.asked, median(slices.Clone(quiet.p99)).Round(time.Microsecond), within.perSecond, within.times(quiet),
			float64(noisy.asked)/(float64(turns)*length.Seconds()), 100*float64(noisy.refused)/float64(noisy.asked), ratio, rounded(noisy.p99))
		if noisy.refused == 0 || within.refused > 0 {
			t.Errorf("refused: %d of the noisy connection's, %d of the one within its rate", noisy.refused, within.refused)
		}
		if *full && ratio > neighbourAllowed {
			t.Errorf(
				"the noise makes p99 %.2f times as long, %.2f is allowed (alone %v, beside the noise %v)", ratio, neighbourAllowed,
				rounded(quiet.p99), rounded(noisy.p99),
			)
		}
	})
}

// beside is what the other connection does in a kind of turns, and what came of it.
type beside struct {
	perSecond      int
	asked, refused int
	p99            []time.Duration // of the quiet tenant's requests, for each turn
}

// times is how many times as long as in other turns p99 was.
func (b *beside) times(other *beside) float64 {
	return float64(median(slices.Clone(b.p99))) / float64(median(slices.Clone(other.p99)))
}

// neighbours are two tenants of one server.
type neighbours struct {
	t            *testing.T
	pace         int // requests a second of the quiet tenant
	noisy, quiet *client
	theirs, ours []string // ids of users

	mu    sync.Mutex
	took  []time.Duration // of the quiet tenant's requests of a turn
	asked int             // by the quiet tenant
}

func newNeighbours(t *testing.T, db database, limit int) *neighbours {
	t.Helper()
	s := start(t, db.fresh(t), fmt.Sprintf("MEIBO_RATE_LIMIT=%d", limit))
	s.run("tenant", "create", "quiet")
	n := &neighbours{t: t, pace: limit * 4 / 10, noisy: s.client(), quiet: s.clientOf("quiet", s.token("quiet"))}
	for i := range neighbourUsers {
		n.theirs = append(n.theirs, wantOutcome(t, n.noisy.createUser(map[string]any{"userName": userNamed(i)}), acknowledged).id())
		n.ours = append(n.ours, wantOutcome(t, n.quiet.createUser(map[string]any{"userName": userNamed(i)}), acknowledged).id())
	}
	return n
}

func userNamed(i int) string { return fmt.Sprintf("user-%d@contoso.example", i) }

// turn lets the quiet tenant work for a while, beside what the other one does.
func (n *neighbours) turn(length time.Duration, b *beside) {
	n.t.Helper()
	n.took = nil
	end := time.Now().Add(length)
	var work sync.WaitGroup
	pace := func(clients, perSecond int, ask func(turn int)) {
		for i := range clients {
			work.Go(func() { paced(end, time.Second*time.Duration(clients)/time.Duration(perSecond), i, ask) })
		}
	}
	if b.perSecond > 0 {
		pace(neighbourNoisy, b.perSecond, func(turn int) { n.disturb(b, turn) })
	}
	pace(neighbourQuiet, n.pace, n.ask)
	work.Wait()
	slices.Sort(n.took)
	b.p99 = append(b.p99, n.took[len(n.took)*99/100])
}

// paced asks at a pace until the end; a client that is late does not make up for it.
func paced(end time.Time, each time.Duration, first int, ask func(turn int)) {
	tick := time.NewTicker(each)
	defer tick.Stop()
	for i := first; time.Now().Before(end); i += neighbourNoisy {
		ask(i)
		<-tick.C
	}
}

// request is what both tenants do by turns, as Entra does in an incremental cycle: look a user up, read it, change it.
func (n *neighbours) request(c *client, ids []string, turn int) answer {
	at := turn % len(ids)
	switch turn / 8 % 3 {
	case 0:
		return c.filter("/Users", `userName eq "`+userNamed(at)+`"`)
	case 1:
		return c.get("/Users/" + ids[at])
	default:
		return c.set(ids[at], "title", fmt.Sprintf("Title %d %d", turn, time.Now().UnixNano()))
	}
}

// ask is one request of the quiet tenant: every answer must be right.
func (n *neighbours) ask(turn int) {
	a := n.request(n.quiet, n.ours, turn)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked++
	n.took = append(n.took, a.Took)
	if a.Status != http.StatusOK || !n.isRight(a, turn) {
		n.t.Errorf("the quiet tenant was answered %v", a)
	}
}

// isRight reports whether an answer shows the user that was asked for.
func (n *neighbours) isRight(a answer, turn int) bool {
	want := n.ours[turn%len(n.ours)]
	if a.id() == want {
		return true
	}
	total, ids, _ := a.list()
	return total == 1 && len(ids) == 1 && ids[0] == want
}

// disturb is one request of the noisy one: done, or refused with a time to wait.
func (n *neighbours) disturb(b *beside, turn int) {
	a := n.request(n.noisy, n.theirs, turn)
	n.mu.Lock()
	defer n.mu.Unlock()
	b.asked++
	switch a.Status {
	case http.StatusOK:
	case http.StatusTooManyRequests:
		b.refused++
		if wait, err := strconv.Atoi(a.Header.Get("Retry-After")); err != nil || wait < 1 {
			n.t.Errorf("429 with Retry-After %q", a.Header.Get("Retry-After"))
		}
	default:
		n.t.Errorf("the noisy connection was answered %v", a)
	}
}

func rounded(d []time.Duration) []time.Duration {
	out := make([]time.Duration, len(d))
	for i := range d {
		out[i] = d[i].Round(10 * time.Microsecond)
	}
	return out
}
