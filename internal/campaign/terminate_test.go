package campaign

import (
	"fmt"
	"testing"
	"time"
)

// TestTerminate asks the server to end (SIGTERM) while clients of three kinds write: some hold their connection and
// never rest, some hold it and pause, some open a new one for each request. A request that was sent on a connection is
// answered in full, or it was dropped; nobody sends one again. A connection that is refused was never one.
func TestTerminate(t *testing.T) {
	concurrently(t)
	each(t, func(t *testing.T, db database) {
		k := newKilling(t, db.fresh(t), "SIGTERM of the server", db.name)
		k.figures.done = fmt.Sprintf("%d writers (connections kept, kept with pauses, new for each request), SIGTERM after 20–200 ms, restart; "+
			"all that was touched compared", writers)
		var slowest time.Duration
		for round := range times(3, 100) {
			k.prepare(round)
			busy, pausing, fresh := k.server.client(), k.server.client(), k.server.client()
			pausing.think, fresh.once = 100*time.Millisecond, true
			done := k.crew.load(nil, busy, pausing, fresh)
			<-moment(k.random)
			asked := time.Now()
			if status := k.server.terminate(); status != 0 {
				t.Errorf("SIGTERM %d: exit status %d", round+1, status)
			}
			slowest = max(slowest, time.Since(asked))
			<-done
			for i, w := range k.crew.writers {
				if w.answers.unanswered > 0 {
					t.Errorf("SIGTERM %d: writer %d lost a request: %v", round+1, i, w.unanswered)
				}
			}
			k.server.restart()
			k.conclude(round)
		}
		k.check(k.figures.times-1, true)
		if k.total.unavailable > 0 || k.total.acknowledged == 0 {
			t.Errorf("%d of the requests were answered 503, %d were acknowledged: the database was there all the time", k.total.unavailable, k.total.acknowledged)
		}
		k.figures.seen = fmt.Sprintf("%d requests dropped; %s; gone after at most %d ms", k.total.unanswered, k.zeros(), slowest.Milliseconds())
	})
}
