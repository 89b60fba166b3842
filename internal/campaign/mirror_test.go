package campaign

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"

	"meibo/internal/mirror"
)

// TestKillServerMirror kills the server under load while host applications mirror the directory: one from the first
// position on, which goes on after each kill where it was, and one from a full read under load in each round. Both equal
// a full read in the end.
func TestKillServerMirror(t *testing.T) {
	concurrently(t)
	each(t, func(t *testing.T, db database) {
		k := newKilling(t, db.fresh(t), "mirrors over kill -9 of the server", db.name)
		kills := times(3, 50)
		k.figures.done = fmt.Sprintf("%d writers and 2 mirrors made of /api/v1 alone, SIGKILL after 0.6–0.8 s, restart", writers)
		h := &hosts{t: t, always: mirror.New(), read: make(chan struct{}), reader: &mirror.Reader{Key: k.key("application", "intranet")}}
		k.beside(kills, func(s *server) <-chan struct{} {
			h.speakTo(s)
			gone := h.follow()
			select { // the first kill comes after a full read, however slow that is; the others whenever they come
			case <-h.read:
			case <-gone:
			}
			return gone
		})
		h.speakTo(k.server)
		want := h.compare(kills)
		k.figures.seen = fmt.Sprintf("0 differences to a full read of %d users and %d groups; %d changes told, each once, and %d full reads under load",
			len(want.Users), len(want.Groups), h.told, h.reads)
		if h.reads == 0 || len(want.Users) == 0 || len(want.Members) == 0 || int64(h.told) != h.always.At {
			t.Errorf("%d full reads, %d changes told, position %d, %d users, %d groups with members", h.reads, h.told, h.always.At, len(want.Users), len(want.Members))
		}
	})
}

// hosts are two host applications.
type hosts struct {
	t            *testing.T
	reader       *mirror.Reader
	always, late *mirror.Mirror // late is nil until a full read has come to its end
	told, reads  int            // of always; of late
	read         chan struct{}  // closed with the first of reads
}

// speakTo has them read from a server.
func (h *hosts) speakTo(s *server) {
	if h.reader.Client != nil {
		h.reader.Client.CloseIdleConnections()
	}
	h.reader.Base, h.reader.Client = s.URL, &http.Client{Transport: &http.Transport{}, Timeout: patience}
}

// follow has both read until the server is gone; then it closes the channel.
func (h *hosts) follow() <-chan struct{} {
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		var both sync.WaitGroup
		both.Go(func() { h.untilGone(func() error { return h.catchUp(1) }) })
		both.Go(func() {
			h.untilGone(func() error {
				m, err := h.reader.Full(h.t.Context())
				if err == nil {
					h.late = m
					if h.reads++; h.reads == 1 {
						close(h.read)
					}
				}
				return err
			})
		})
		both.Wait()
	}()
	return gone
}

// untilGone repeats what a host does until no answer comes any more. An answer that refuses it is a failure.
func (h *hosts) untilGone(do func() error) {
	for {
		switch err := do(); {
		case err == nil:
		case errors.As(err, new(*mirror.Refused)), errors.As(err, new(*mirror.Gap)):
			h.t.Error(err)
			return
		default:
			return
		}
	}
}

func (h *hosts) catchUp(wait int) error {
	return h.reader.Follow(h.t.Context(), h.always, wait, func(mirror.Item) { h.told++ })
}

// compare brings both to the end of the journal and compares them with a full read, which it returns.
func (h *hosts) compare(kills int) *mirror.Mirror {
	h.t.Helper()
	for before := int64(-1); before != h.always.At; { // until no entry waits for its position
		before = h.always.At
		if err := h.catchUp(2); err != nil {
			h.t.Fatal(err)
		}
	}
	want, err := h.reader.Full(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	mirrors := map[string]*mirror.Mirror{"from the first position": h.always}
	if h.late != nil {
		mirrors["from a full read"] = h.late
		if err := h.reader.Follow(h.t.Context(), h.late, 0, func(mirror.Item) {}); err != nil {
			h.t.Fatal(err)
		}
	}
	for name, m := range mirrors {
		if diff := want.Differs(m); diff != "" {
			h.t.Errorf("a mirror %s, after %d kills (-full read +mirror):\n%s", name, kills, diff)
		}
	}
	return want
}
