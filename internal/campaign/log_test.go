package campaign

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestKillServerStream kills the server under load while one follows the log as server-sent events, and comes back after
// each kill with the last id that it saw: it is told every position once and in order, up to the last one, and the entries
// are those that /changes has.
func TestKillServerStream(t *testing.T) {
	concurrently(t)
	each(t, func(t *testing.T, db database) {
		k := newKilling(t, db.fresh(t), "a stream over kill -9 of the server", db.name)
		kills := times(3, 50)
		k.figures.done = fmt.Sprintf("%d writers and a client of /api/v1/log/stream, SIGKILL after 0.6–0.8 s, restart", writers)
		f := &listener{t: t, key: k.key("support", "support")}
		k.beside(kills, func(s *server) <-chan struct{} {
			f.speakTo(s)
			gone := make(chan struct{})
			go func() {
				defer close(gone)
				f.listen(0)
			}()
			return gone
		})
		f.speakTo(k.server)
		head := f.head()
		for before := int64(-1); before != head; head = f.head() { // until no entry waits for its position
			before = head
			<-time.After(time.Second)
		}
		f.listen(head)
		if diff := f.differs(head); diff != "" {
			t.Error(diff)
		}
		k.figures.seen = fmt.Sprintf("%d entries told over %d connections, each once and in order; 0 differences to /changes", len(f.ids), f.connections)
		if len(f.ids) == 0 || f.connections <= kills {
			t.Errorf("%d entries over %d connections", len(f.ids), f.connections)
		}
	})
}

// listener follows the log.
type listener struct {
	t           *testing.T
	key, base   string
	client      *http.Client
	ids         []string // of the entries told, by position - 1
	connections int
}

func (f *listener) speakTo(s *server) {
	if f.client != nil {
		f.client.CloseIdleConnections()
	}
	f.base, f.client = s.URL+"/api/v1", &http.Client{Transport: &http.Transport{}, Timeout: patience}
}

func (f *listener) get(path string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(f.t.Context(), http.MethodGet, f.base+path, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+f.key)
	if strings.HasPrefix(path, "/log/stream") {
		r.Header.Set("Last-Event-ID", strconv.Itoa(len(f.ids)))
	}
	return f.client.Do(r)
}

// listen takes what it is told until the stream breaks off, or until a position if that is above zero.
func (f *listener) listen(end int64) {
	for end == 0 || int64(len(f.ids)) < end {
		a, err := f.get("/log/stream")
		if err != nil {
			return // the server is gone
		}
		if a.StatusCode != http.StatusOK {
			f.t.Errorf("the stream is answered %d", a.StatusCode)
			_ = a.Body.Close()
			return
		}
		f.connections++
		err = f.take(a, end)
		_ = a.Body.Close()
		if err != nil {
			f.t.Error(err)
			return
		}
	}
}

// take reads events to the end of the stream. An event that is cut off does not count, as the HTML standard says.
func (f *listener) take(a *http.Response, end int64) error {
	lines := bufio.NewReader(a.Body)
	id, data := "", ""
	for end == 0 || int64(len(f.ids)) < end {
		line, err := lines.ReadString('\n')
		if err != nil {
			return nil
		}
		switch name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": "); {
		case name == "id":
			id = value
		case name == "data":
			data = value
		case line == "\n" && data != "":
			var e struct{ ID string }
			if err := json.Unmarshal([]byte(data), &e); err != nil {
				return err
			}
			if id != strconv.Itoa(len(f.ids)+1) {
				return fmt.Errorf("position %s is told after %d", id, len(f.ids))
			}
			f.ids, data = append(f.ids, e.ID), ""
		}
	}
	return nil
}

// changes reads a piece of /changes.
func (f *listener) changes(after int) (ids []string, head int64, err error) {
	a, err := f.get(fmt.Sprintf("/changes?limit=1000&after=%d", after))
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = a.Body.Close() }()
	var page struct {
		Items []struct{ ID string }
		Head  int64
	}
	if a.StatusCode != http.StatusOK {
		return nil, 0, errors.New(a.Status)
	}
	err = json.NewDecoder(a.Body).Decode(&page)
	for _, item := range page.Items {
		ids = append(ids, item.ID)
	}
	return ids, page.Head, err
}

func (f *listener) head() int64 {
	f.t.Helper()
	_, head, err := f.changes(0)
	if err != nil {
		f.t.Fatal(err)
	}
	return head
}

// differs compares what was told with /changes; "" if it is the same.
func (f *listener) differs(head int64) string {
	var want []string
	for int64(len(want)) < head {
		ids, _, err := f.changes(len(want))
		if err != nil || len(ids) == 0 {
			return fmt.Sprintf("/changes after %d: %d items, %v", len(want), len(ids), err)
		}
		want = append(want, ids...)
	}
	for i, id := range want[:min(len(want), len(f.ids))] {
		if f.ids[i] != id {
			return fmt.Sprintf("position %d is told as %s, and is %s", i+1, f.ids[i], id)
		}
	}
	if len(f.ids) < len(want) {
		return fmt.Sprintf("told %d of %d", len(f.ids), len(want))
	}
	return ""
}
