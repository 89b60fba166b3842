package e2e

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"meibo/internal/capture"
	"meibo/internal/seal"
)

// BenchmarkCreate is what a create costs with its journal, and with captures of request and answer beside it: through the whole
// server but for the network, with all of its background work. CPU is that of the process; PostgreSQL's own comes on top.
func BenchmarkCreate(b *testing.B) {
	for _, db := range databases {
		for _, captured := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s/captures=%t", db.name, captured), func(b *testing.B) {
				var o options
				recorder := new(capture.Recorder)
				if captured {
					o.capture = func(x capture.Exchange) { recorder.Record(x) }
				}
				s := newServer(b, db, o)
				c := s.newTenant("acme")
				if captured {
					sealer, err := seal.New(strings.Repeat("k", seal.MinKey), "capture")
					if err != nil {
						b.Fatal(err)
					}
					recorder = capture.New(capture.Options{Store: s.store, Sealer: sealer, Dropped: func(n int) { b.Errorf("%d captures were dropped", n) }})
					ctx, end := context.WithCancel(context.Background())
					var work sync.WaitGroup
					work.Go(func() { recorder.Run(ctx) })
					b.Cleanup(func() { end(); work.Wait() })
				}
				b.ReportAllocs()
				began, n := processorTime(b), 0
				for b.Loop() {
					n++
					w := httptest.NewRecorder()
					s.http.Config.Handler.ServeHTTP(w, createRequest(c, n))
					if w.Code != http.StatusCreated {
						b.Fatal(w.Code, w.Body)
					}
				}
				b.ReportMetric(float64((processorTime(b)-began).Microseconds())/float64(n), "cpu-µs/op")
			})
		}
	}
}

// createRequest is one of Entra's for the nth of many users.
func createRequest(c *tenant, n int) *http.Request {
	body := fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],
		"externalId":"x-%[1]d","userName":"user%[1]d@contoso.example","displayName":"User %[1]d","title":"Engineer","active":true,
		"name":{"formatted":"User %[1]d","familyName":"%[1]d","givenName":"User"},
		"emails":[{"value":"user%[1]d@contoso.example","type":"work","primary":true}],"phoneNumbers":[{"value":"+46 8 %[1]d","type":"work"}],
		"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"employeeNumber":"%[1]d","department":"Development"}}`, n)
	r := httptest.NewRequest(http.MethodPost, c.base+"/Users", strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+c.token)
	r.Header.Set("Content-Type", "application/scim+json")
	return r
}

// processorTime is how long processors have worked for this process.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
