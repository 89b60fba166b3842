package campaign

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const mib = 1 << 20

// What the process may take.
const (
	idleBar   = 40 * mib  // a server that nobody asks
	loadBar   = 100 * mib // 100,000 users and sixteen clients
	streamBar = 16 * mib  // more than before, while a group of 100,000 members is read
	growthBar = 4 * mib   // in ten minutes of drill
)

// TestMemory holds what the process takes: idle, while it fills, under load and while large groups stream.
func TestMemory(t *testing.T) {
	concurrently(t)
	each(t, func(t *testing.T, db database) {
		f := report(t, "memory", db.name)
		s := start(t, db.fresh(t))
		idle := s.highest(times(2, 50))
		users := times(300, 100_000)
		p := populate(t, s)
		p.fill(users, fillers)
		filled := s.peak()
		s.forgetPeak()
		asked := p.load(time.Duration(times(1, 60)) * time.Second)
		loaded := s.peak()

		members := times(250, users-1)
		g := p.group("large", members)
		before := s.highest(times(2, 50))
		s.forgetPeak()
		reads := p.readAtOnce(g, members, 4)
		extra := s.peak() - before
		f.done, f.times = "requests of every kind by 16 clients", asked+reads
		f.seen = fmt.Sprintf("idle %s, creating %s users %s, under load %s, reading a group of %s members 4 times at once %s more",
			inMiB(idle), grouped(users), inMiB(filled), inMiB(loaded), grouped(members), inMiB(extra))
		for what, took := range map[string][2]int64{
			"idle": {idle, idleBar}, "creating": {filled, loadBar}, "under load": {loaded, loadBar}, "reading a group": {extra, streamBar}} {
			if took[0] > took[1] {
				t.Errorf("%s: %s, over %s", what, inMiB(took[0]), inMiB(took[1]))
			}
		}
	})
}

// load has sixteen clients ask everything for a time, and returns how many questions that were.
func (p *populace) load(d time.Duration) int {
	p.t.Helper()
	var asked atomic.Int64
	var wg sync.WaitGroup
	end := time.Now().Add(d)
	for i := range fillers {
		own := *p // with numbers of its own
		own.random, own.extra = newRandom(uint64(i)), (i+1)*1_000_000
		wg.Go(func() {
			for time.Now().Before(end) && !p.t.Failed() {
				for _, q := range questions {
					if !strings.Contains(q.name, "page") { // whose total others change meanwhile
						q.ask(&own)
						asked.Add(1)
					}
				}
				if a := own.c.page("/Users", 1+own.random.IntN(len(own.ids)), 100); a.outcome != acknowledged {
					p.t.Errorf("a page: %v", a)
				}
				asked.Add(1)
			}
		})
	}
	wg.Wait()
	return int(asked.Load())
}

// readAtOnce reads a group by some clients at once and returns how many answers that were.
func (p *populace) readAtOnce(group string, members, clients int) int {
	p.t.Helper()
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			a := p.c.get("/Groups/" + group)
			if n := strings.Count(string(a.Body), `"value":"`); a.outcome != acknowledged || n != members {
				p.t.Errorf("a group of %d members has %d in an answer of %d bytes: %s, %v", members, n, len(a.Body), a.outcome, a.Err)
			}
		})
	}
	wg.Wait()
	return clients
}

// TestSoak has a server drilled over and over, for ten minutes in the full form: afterwards it has the memory, the
// goroutines and the descriptors that it had once it was warm.
func TestSoak(t *testing.T) {
	concurrently(t)
	each(t, func(t *testing.T, db database) {
		f := report(t, "soak", db.name)
		s := start(t, db.fresh(t))
		began, length := time.Now(), time.Duration(times(0, 600))*time.Second
		var all []vital
		for seed := 1; seed <= 2 || time.Since(began) < length; seed++ {
			s.run("drill", "--url", s.URL+"/t/"+s.Tenant+"/scim/v2", "--token", s.Token, "--seed", strconv.Itoa(seed),
				"--users", strconv.Itoa(times(10, 100)), "--groups", "3", "--members", "20")
			all = append(all, s.vitals())
		}
		warm := all[len(all)/5:] // the first fifth fills pools and caches
		if len(warm) == len(all) {
			warm = all[1:]
		}
		growth := slope(warm) * length.Seconds()
		first, last := all[0], warm[len(warm)-1]
		f.done, f.times = "drills, one after the other", len(all)
		f.seen = fmt.Sprintf("memory grows by %s in %v (%s at first, %s at last), goroutines %d and %d, descriptors %d and %d",
			inMiB(int64(growth)), length, inMiB(first.memory), inMiB(last.memory), warm[0].goroutines, last.goroutines, warm[0].descriptors, last.descriptors)
		if *full && growth > growthBar {
			t.Errorf("memory grows: %s", f.seen)
		}
		if last.goroutines > warm[0].goroutines+5 || last.descriptors > warm[0].descriptors+5 {
			t.Errorf("something is left behind: %s", f.seen)
		}
	})
}

// vital is how a server is at an instant.
type vital struct {
	at                      time.Time
	memory                  int64
	goroutines, descriptors int
}

func (s *server) vitals() vital {
	s.t.Helper()
	return vital{at: time.Now(), memory: s.rss(), goroutines: s.goroutines(), descriptors: s.descriptors()}
}

// slope is how many bytes memory grows by in a second, by the least squares.
func slope(all []vital) float64 {
	var n, x, y, xx, xy float64
	for _, v := range all {
		a, b := v.at.Sub(all[0].at).Seconds(), float64(v.memory)
		n, x, y, xx, xy = n+1, x+a, y+b, xx+a*a, xy+a*b
	}
	if d := n*xx - x*x; d > 0 {
		return (n*xy - x*y) / d
	}
	return 0
}

// highest is the most memory that the process has in some looks at it, a tenth of a second apart.
func (s *server) highest(looks int) (most int64) {
	s.t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for range looks {
		<-tick.C
		most = max(most, s.rss())
	}
	return most
}

// peak is the most memory that the process ever had, or since forgetPeak (proc(5), VmHWM).
func (s *server) peak() int64 {
	s.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.Process.Pid))
	if err != nil {
		s.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	var kib int64
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		s.t.Fatalf("no VmHWM in /proc/%d/status: %v", s.Process.Pid, err)
	}
	return kib << 10
}

// forgetPeak has peak begin at what the process has now (proc(5), clear_refs).
func (s *server) forgetPeak() {
	s.t.Helper()
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", s.Process.Pid), []byte("5"), 0); err != nil {
		s.t.Fatal(err)
	}
}

func inMiB(bytes int64) string { return fmt.Sprintf("%.1f MiB", float64(bytes)/mib) }

func TestSlope(t *testing.T) {
	t.Parallel()
	start := time.Unix(0, 0)
	var flat, leaky []vital
	for i := range 20 {
		noise := int64(i%3) * mib / 10
		flat = append(flat, vital{at: start.Add(time.Duration(i) * 30 * time.Second), memory: 50*mib + noise})
		leaky = append(leaky, vital{at: start.Add(time.Duration(i) * 30 * time.Second), memory: 50*mib + noise + int64(i)*mib/2})
	}
	if got := slope(flat) * 600; got > growthBar/10 {
		t.Errorf("a level server grows by %v bytes", got)
	}
	if got := slope(leaky) * 600; got < growthBar {
		t.Errorf("a leak of ten MiB is taken for %v bytes", got)
	}
	if slope(nil) != 0 || slope(flat[:1]) != 0 {
		t.Error("a slope of nothing")
	}
}
