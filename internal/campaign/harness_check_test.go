package campaign

import (
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestHarness plays one small life of a server: what the campaigns rely on holds.
func TestHarness(t *testing.T) {
	concurrently(t)
	each(t, func(t *testing.T, db database) {
		s := start(t, db.fresh(t))
		c := s.client()
		user := wantOutcome(t, c.createUser(map[string]any{"userName": "ada@example.com"}), acknowledged).id()
		wantOutcome(t, c.createUser(map[string]any{"userName": "ada@example.com"}), refused)
		group := wantOutcome(t, c.createGroup("Engine"), acknowledged).id()
		wantOutcome(t, c.addMembers(group, user), acknowledged)
		wantOutcome(t, c.set(user, "displayName", "Ada"), acknowledged)
		if s.rss() < 1<<20 || s.descriptors() < 3 {
			t.Errorf("%d bytes of memory, %d descriptors", s.rss(), s.descriptors())
		}
		s.kill()
		wantOutcome(t, c.get("/Users"), unknown) // on a connection from before
		wantOutcome(t, c.get("/Users"), unsent)
		if took := s.restart(); took > patience {
			t.Errorf("ready after %v", took)
		}
		c = s.client()
		if got := wantOutcome(t, c.get("/Users/"+user), acknowledged).object()["displayName"]; got != "Ada" {
			t.Errorf("displayName %v", got)
		}
		if total, ids, _ := wantOutcome(t, c.filter("/Users", `userName eq "ADA@example.com"`), acknowledged).list(); total != 1 || ids[0] != user {
			t.Errorf("%d found: %v", total, ids)
		}
		wantOutcome(t, c.removeMembers(group, user), acknowledged)
		wantOutcome(t, c.delete("/Users/"+user), acknowledged)
		if status := s.terminate(); status != 0 {
			t.Errorf("exit status %d after SIGTERM", status)
		}
	})
}

func wantOutcome(t *testing.T, a answer, want outcome) answer {
	t.Helper()
	if a.outcome != want {
		t.Fatalf("%s, want %s: %v", a.outcome, want, a)
	}
	return a
}

// TestClientTellsHalfAnswers has a server that breaks off: what was not read to the end is not acknowledged.
func TestClientTellsHalfAnswers(t *testing.T) {
	t.Parallel()
	for response, want := range map[string]outcome{
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}":                   acknowledged,
		"HTTP/1.1 204 No Content\r\n\r\n":                                  acknowledged,
		"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\n{}":  refused,
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}":                   unknown,
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n": unknown,
		"HTTP/1.1 20": unknown,
		"":            unknown,
	} {
		c := &client{address: answerOnce(t, response), dial: net.Dialer{Timeout: time.Second}}
		if a := c.do(http.MethodPost, "/Users", "{}"); a.outcome != want {
			t.Errorf("%q: %s, want %s", response, a.outcome, want)
		}
		c.close()
	}
}

// answerOnce listens for one request, writes a response and closes.
func answerOnce(t *testing.T, response string) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer listener.Close()
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		buf := make([]byte, 4096)
		for read := ""; !strings.HasSuffix(read, "{}"); {
			n, err := conn.Read(buf)
			if err != nil {
				return
			}
			read += string(buf[:n])
		}
		_, _ = conn.Write([]byte(response)) // the client has its say
	}()
	return listener.Addr().String()
}
