package drill

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// options of a drill against a server in memory, with waits that take no time.
func options(s http.RoundTripper, d Dialect) Options {
	return Options{
		BaseURL: fakeBase, Token: fakeToken, Users: 40, Groups: 6, Members: 110, Seed: 7, Dialect: d, Workers: 4,
		Client: &http.Client{Transport: s},
		Sleep:  func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
	}
}

func TestRightServerPasses(t *testing.T) {
	t.Parallel()
	for _, dialect := range []Dialect{Default, Flag} {
		for _, size := range [][4]int{{60, 8, 160, 1}, {150, 30, 900, 2}, {1, 1, 1, 1}, {7, 0, 0, 1}, {12, 3, 36, 3}} {
			t.Run(fmt.Sprint(dialect, size), func(t *testing.T) {
				t.Parallel()
				opt := options(&fakeServer{}, dialect)
				opt.Users, opt.Groups, opt.Members, opt.Cycles = size[0], size[1], size[2], size[3]
				rep, err := Run(t.Context(), opt)
				if err != nil {
					t.Fatal(err)
				}
				if !rep.OK() || len(rep.Warnings) != 0 {
					t.Fatal(text(t, rep))
				}
				if rep.Requests == 0 || rep.Compared == 0 || len(rep.Writes) == 0 {
					t.Errorf("%d requests, %d attributes compared, %d writes: none may be 0", rep.Requests, rep.Compared, len(rep.Writes))
				}
			})
		}
	}
}

// TestOverTheNetwork uses the drill's own client and clock on a real listener.
func TestOverTheNetwork(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(&fakeServer{})
	defer srv.Close()
	rep, err := Run(t.Context(), Options{BaseURL: srv.URL + "/t/acme/scim/v2", Token: fakeToken, Users: 20, Groups: 3, Members: 20})
	if err != nil || !rep.OK() {
		t.Fatal(err, text(t, rep))
	}
}

func TestSleepEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	if err := sleep(ctx, time.Nanosecond); err != nil {
		t.Error(err)
	}
	cancel()
	if err := sleep(ctx, time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
}

func text(t *testing.T, rep *Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := rep.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(b.String())
}
