package campaign

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// What the server gives a client for its head and for its body, and what a busy machine may add.
const (
	headDeadline = 10 * time.Second
	bodyDeadline = 60 * time.Second
	dripGrace    = 10 * time.Second
	dripPace     = 250 * time.Millisecond // between two bytes
)

// dripRest is more than a client gets rid of before it is cut off.
var dripRest = strings.Repeat(" ", 10_000)

// drips are clients that send one byte after another, beside the torture itself.
type drips struct {
	clients sync.WaitGroup
	enough  chan struct{} // closed when the clients go away by themselves

	mu      sync.Mutex
	ended   map[string]int // how they ended → how many
	longest time.Duration
	faults  []string
}

// dripping is a way to be slow.
type dripping struct {
	name     string
	send     func(s *shot) (begin, rest string) // what goes out at once, and what byte by byte
	status   []int                              // 0: the connection ends without an answer
	deadline time.Duration
}

func drippings() []dripping {
	body := func(change func(s *shot)) func(s *shot) (string, string) {
		return func(s *shot) (string, string) {
			change(s)
			return string(s.head()), s.body() + dripRest
		}
	}
	return []dripping{
		{"body", body(func(s *shot) { s.setHeader("Content-Length", "100000") }), []int{http.StatusRequestTimeout}, bodyDeadline},
		{"chunks", body(func(s *shot) {
			text := s.body()
			s.addHeader("Transfer-Encoding", "chunked")
			s.text = string(chunked(text+dripRest, 10))
		}), []int{http.StatusRequestTimeout}, bodyDeadline},
		{"large body", body(func(s *shot) { s.setHeader("Content-Length", "2000000") }), []int{http.StatusRequestTimeout}, bodyDeadline},
		{"head", func(s *shot) (string, string) {
			head := string(s.head())
			return head[:20], head[20:] + dripRest
		}, []int{0, http.StatusBadRequest}, headDeadline},
	}
}

// drip starts so many slow clients, of each way to be slow in turn.
func (x *torture) drip(n int) *drips {
	d := &drips{enough: make(chan struct{}), ended: map[string]int{}}
	ways := drippings()
	for i := range n {
		way := ways[i%len(ways)]
		rng := rand.New(rand.NewPCG(x.seed, uint64(i)))
		s := patchOfGroup(x.firm, rng)
		d.clients.Go(func() {
			status, took, err := d.one(x.server.host(), way, s)
			d.note(way, status, took, err)
		})
	}
	return d
}

func patchOfGroup(b *sandbox, rng *rand.Rand) *shot {
	for _, w := range groupCorpus() {
		if s := w.make(b, rng, "slow"); s.shape == patching {
			return s
		}
	}
	return nil
}

// one is the life of a slow client: the status it was answered, 0 for a closed connection and -1 if it was the one to go.
func (d *drips) one(address string, way dripping, s *shot) (status int, took time.Duration, err error) {
	conn, err := net.DialTimeout("tcp", address, tortureTimeout)
	if err != nil {
		return 0, 0, err
	}
	defer conn.Close()
	began := time.Now()
	begin, rest := way.send(s)
	if _, err := conn.Write([]byte(begin)); err != nil {
		return 0, 0, err
	}
	answered := make(chan int, 1)
	go func() {
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			answered <- 0
			return
		}
		answered <- answer.StatusCode
	}()
	tick := time.NewTicker(dripPace)
	defer tick.Stop()
	for {
		select {
		case status := <-answered:
			return status, time.Since(began), nil
		case <-d.enough:
			return -1, time.Since(began), nil
		case <-tick.C:
			_, _ = conn.Write([]byte(rest[:1])) // whether the connection has ended is the reader's to see
			rest = rest[1:]
		}
	}
}

func (d *drips) note(way dripping, status int, took time.Duration, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ended[fmt.Sprintf("%s: %d", way.name, status)]++
	d.longest = max(d.longest, took)
	switch {
	case err != nil:
		d.faults = append(d.faults, fmt.Sprintf("%s: %v", way.name, err))
	case status == -1:
	case !slices.Contains(way.status, status):
		d.faults = append(d.faults, fmt.Sprintf("%s was answered %d after %v, want %v", way.name, status, took, way.status))
	case took > way.deadline+dripGrace:
		d.faults = append(d.faults, fmt.Sprintf("%s was endured for %v", way.name, took))
	}
}

// finish waits for the clients' ends in the full form; in the short one they go.
func (x *torture) finish(d *drips) string {
	if !*full {
		close(d.enough)
	}
	d.clients.Wait()
	for _, fault := range d.faults {
		x.t.Errorf("slow client: %s", fault)
	}
	return fmt.Sprintf("slow clients %v, the longest was endured for %v", d.ended, d.longest.Round(time.Second))
}

// loggedLine finds the first line of the server's log with a word.
func (x *torture) loggedLine(word string) (string, bool) {
	x.t.Helper()
	text, err := os.ReadFile(x.server.logFile)
	if err != nil {
		x.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, word) {
			return line, true
		}
	}
	return "", false
}
