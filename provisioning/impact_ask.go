package provisioning

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"meibo/scim"
)

const (
	askEvery   = 30 * time.Second
	askAtOnce  = 16   // host applications that are asked side by side
	askStride  = 1000 // matters of a connection that one pass looks at
	askPatient = 3    // questions without an answer, after which a pass leaves a connection to the next one
	maxFailure = 200  // bytes of a failure that are kept
)

// hosts are the host applications that are asked just now: each by one pass, and so many at once. The zero value is ready.
type hosts struct {
	mu    sync.Mutex
	asked map[string]bool
	slots chan struct{}
}

// begin takes a host application, unless an earlier pass is not done with it.
func (h *hosts) begin(host string) (slots chan struct{}, begun bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.asked == nil {
		h.asked, h.slots = map[string]bool{}, make(chan struct{}, askAtOnce)
	}
	begun = !h.asked[host]
	h.asked[host] = true
	return h.slots, begun
}

func (h *hosts) end(host string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.asked, host)
}

// askRegularly asks until ctx ends.
func (s *Service) askRegularly(ctx context.Context, report func(error)) {
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	s.askAt(ctx, tick.C, report)
}

// askAt asks at once and at each tick. It waits for no host application: one that is slow is left to a later tick, and the
// others are asked at this one.
func (s *Service) askAt(ctx context.Context, ticks <-chan time.Time, report func(error)) {
	var all sync.WaitGroup
	defer all.Wait()
	for ctx.Err() == nil {
		s.askDue(ctx, &all, func(_ int, err error) {
			if err != nil && ctx.Err() == nil {
				report(err)
			}
		})
		select {
		case <-ctx.Done():
		case <-ticks:
		}
	}
}

// AskImpact asks the host applications of all tenants about the departures that wait and are due, and does the deletions
// that waited for the answer alone. It reports how many were answered, and what was not. No unit of work is open while
// a question is.
func (s *Service) AskImpact(ctx context.Context) (answered int, err error) {
	var all sync.WaitGroup
	var mu sync.Mutex // of answered and err
	s.askDue(ctx, &all, func(n int, failed error) {
		mu.Lock()
		defer mu.Unlock()
		answered, err = answered+n, errors.Join(err, failed)
	})
	all.Wait()
	return answered, err
}

// askDue begins to ask each host application about what is due, side by side, but for those that are being asked. What came
// of each is told, by several at once.
func (s *Service) askDue(ctx context.Context, all *sync.WaitGroup, told func(answered int, err error)) {
	tenants, err := s.store.Tenants(ctx)
	told(0, err)
	due := map[string][]*asking{}
	for _, tenant := range tenants {
		waiting, err := s.toAsk(ctx, tenant)
		told(0, err)
		for _, one := range waiting {
			host := one.host()
			due[host] = append(due[host], one)
		}
	}
	for host, waiting := range due {
		slots, begun := s.hosts.begin(host)
		if !begun {
			continue
		}
		all.Go(func() {
			defer s.hosts.end(host)
			select {
			case slots <- struct{}{}:
				defer func() { <-slots }()
				told(s.askHost(ctx, waiting))
			case <-ctx.Done():
			}
		})
	}
}

// asking is what there is to ask the host application of one connection.
type asking struct {
	origin  Origin
	rules   *Rules
	matters []Matter
	failed  int // questions without an answer
}

// host names the host application that is asked.
func (a *asking) host() string {
	address := a.rules.Settings.Matters.Impact.URL
	if u, err := url.Parse(address); err == nil && u.Host != "" {
		return strings.ToLower(u.Host)
	}
	return address
}

// toAsk reads what is due, by connection.
func (s *Service) toAsk(ctx context.Context, tenant string) (out []*asking, err error) {
	of := map[int64]*asking{}
	now := s.Now()
	err = s.store.View(ctx, tenant, func(r Reader) error {
		all, err := r.Connections()
		for _, c := range all {
			rules, failed := s.rules(r, c)
			if failed != nil {
				return failed
			}
			if rules.asks() {
				of[c.ID] = &asking{origin: Origin{Tenant: tenant, Connection: c, Actor: Schedule}, rules: rules}
			}
		}
		if err != nil || len(of) == 0 {
			return err
		}
		return r.Matters(MatterQuery{Status: MatterOpen}, func(m Matter) error {
			if one := of[m.Connection]; one != nil && len(one.matters) < askStride && m.wantsImpact() && !m.Impact.due().After(now) {
				m.Asserted = nil
				one.matters = append(one.matters, m)
			}
			return nil
		})
	})
	for _, one := range of {
		out = append(out, one)
	}
	return out, err
}

// wantsImpact reports whether a matter has yet to be asked about: people see the counts of every departure, and some wait for
// nothing else.
func (m *Matter) wantsImpact() bool {
	return m.isDeparture() && (m.Impact.Counts == nil || awaitsImpact(*m))
}

// askHost asks one host application, one question at a time and about its connections in turns. A connection is left to the
// next pass after too many questions without an answer, and all of them after one that took its whole time, or once
// it is time for the next pass.
func (s *Service) askHost(ctx context.Context, all []*asking) (answered int, err error) {
	turn, cancel := context.WithTimeout(ctx, askEvery)
	defer cancel()
	for i := 0; len(all) > 0; i++ {
		all = slices.DeleteFunc(all, func(a *asking) bool { return i >= len(a.matters) || a.failed == askPatient })
		for _, a := range all {
			if turn.Err() != nil {
				return answered, err
			}
			o, m := a.origin, a.matters[i]
			o.Correlation = s.newID()
			done, failed := s.ask(ctx, o, a.rules, m)
			if done {
				answered++
			}
			if failed == nil {
				continue
			}
			a.failed++
			err = errors.Join(err, fmt.Errorf("impact of matter %s (tenant %s, connection %s): %w", m.ID, o.Tenant, o.Connection.Name, failed))
			if errors.Is(failed, errLate) {
				return answered, err
			}
		}
	}
	return answered, err
}

// errLate is that a question had no answer in its time.
var errLate = errors.New("late")

// ask asks about one matter and does what follows.
func (s *Service) ask(ctx context.Context, o Origin, rules *Rules, m Matter) (answered bool, err error) {
	f, err := View(ctx, s.store, o.Tenant, func(r Reader) (Facts, error) { return account(r, m.Type, m.Resource) })
	if KindOf(err) == NotFound && err != nil {
		return false, nil // purged meanwhile
	}
	if err != nil {
		return false, err
	}
	if m.Impact.Counts != nil && !rules.letsGo(m, f.Current) {
		return false, nil // people have what they need, and one of them has to speak
	}
	q, err := question(o, rules, m, f, s.Now())
	if err != nil {
		return false, err
	}
	mine, err := s.noteAsk(ctx, o, &m, Impact{Asks: m.Impact.Asks + 1, AskedAt: q.At, Counts: m.Impact.Counts})
	if err != nil || !mine {
		return false, err
	}
	counts, failure := s.answerTo(ctx, q)
	if ctx.Err() != nil {
		return false, ctx.Err() // the server stops; the next one asks again
	}
	is := Impact{Asks: m.Impact.Asks, AskedAt: q.At, Counts: counts}
	if failure != nil {
		is.Failure, is.Counts = shownFailure(failure), m.Impact.Counts
		_, err = s.noteAsk(ctx, o, &m, is)
		return false, errors.Join(failure, err)
	}
	return true, s.settleAnswer(ctx, o, m.ID, is)
}

// question is what to ask about a matter.
func question(o Origin, r *Rules, m Matter, f Facts, at time.Time) (ImpactQuery, error) {
	seen, err := effectiveOf(f.Current)
	if err != nil {
		return ImpactQuery{}, err
	}
	if seen == nil {
		seen = f.Asserted
	}
	i := r.Settings.Matters.Impact
	return ImpactQuery{ID: o.Correlation, URL: i.URL, Timeout: i.timeout(), Tenant: o.Tenant, Connection: o.Connection.Name, Matter: m.ID, Cause: m.Cause, At: at,
		Resource: ImpactResource{ID: m.Resource, Type: m.Type, ExternalID: f.Current.Index.ExternalID, Name: nameOf(m.Type, seen)}}, nil
}

// answerTo is what the host application says. Nothing of the store is held meanwhile.
func (s *Service) answerTo(ctx context.Context, q ImpactQuery) (map[string]int64, error) {
	if s.asks == nil {
		return nil, errors.New("no impact_secret is configured to sign the question with")
	}
	ctx, cancel := context.WithTimeout(ctx, q.Timeout)
	defer cancel()
	counts, err := s.asks(ctx, q)
	switch {
	case err == nil && counts == nil:
		counts = map[string]int64{} // nothing hangs on it
	case err != nil && ctx.Err() != nil, errors.Is(err, context.DeadlineExceeded):
		err = late{err}
	}
	return counts, err
}

// late is an error that took the whole time of a question.
type late struct{ error }

func (l late) Unwrap() []error { return []error{l.error, errLate} }

// shownFailure is why there was no answer, as it is stored.
func shownFailure(err error) string {
	text := strings.ToValidUTF8(strings.ReplaceAll(err.Error(), "\x00", ""), "")
	if len(text) > maxFailure {
		text = strings.ToValidUTF8(text[:maxFailure], "")
	}
	return text
}

// noteAsk notes in the matter what was asked, or why it was not answered. It is false where the matter was closed or
// somebody else asked meanwhile.
func (s *Service) noteAsk(ctx context.Context, o Origin, m *Matter, is Impact) (noted bool, err error) {
	noted, err = Update(ctx, s.store, o.Tenant, func(tx Tx) (bool, error) {
		now, err := matterOf(tx, m.ID)
		if err != nil || now.Status != MatterOpen || now.Impact.Asks != m.Impact.Asks {
			return false, err
		}
		return true, tx.Commit(Batch{Matters: []MatterChange{{Ask: &AskChange{ID: m.ID, Was: m.Impact.Asks, Impact: is}}}})
	})
	if noted && err == nil {
		m.Impact = is
	}
	return noted, err
}

// settleAnswer notes an answer with its entry. A deletion that waited for nothing else is done in the same unit of work. By now
// the matter may be closed, or the account somebody's who protects it: then there is nothing to do.
func (s *Service) settleAnswer(ctx context.Context, o Origin, id string, is Impact) error {
	var m Matter
	var x Resource
	var rules *Rules
	err := s.store.View(ctx, o.Tenant, func(r Reader) (err error) {
		if m, err = matterOf(r, id); err != nil {
			return err
		}
		if o.Connection, err = connectionByID(r, m.Connection); err != nil {
			return err
		}
		if rules, err = s.rules(r, o.Connection); err != nil {
			return err
		}
		x, err = r.Account(m.Type, m.Resource, References{})
		return err
	})
	switch {
	case err != nil:
		return err
	case rules.letsGo(m, &x):
		return s.letGo(ctx, o, m, is)
	default:
		return s.noteAnswer(ctx, o, m, is)
	}
}

// letGo does the deletion that a matter is about, as a person's word would.
func (s *Service) letGo(ctx context.Context, o Origin, m Matter, is Impact) error {
	in, at := Intent{Action: ActionDelete, Type: scim.User, ID: m.Resource, Quiet: true}, s.Now()
	in.Want = func(r Reader, rules *Rules) (Facts, Desired, error) {
		f, err := account(r, m.Type, m.Resource)
		if err != nil {
			return f, Desired{}, err
		}
		now, err := matterOf(r, m.ID)
		if err != nil || now.Impact.Asks != is.Asks || !rules.letsGo(now, f.Current) {
			return f, Desired{Act: &Act{}}, err // something else happened to it
		}
		closed := closedMatter(now, MatterAllowed, at, o.Actor)
		a := allowedAct(closed, rules)
		a.Counts = is.Counts
		a.Matters = []MatterChange{{Ask: &AskChange{ID: m.ID, Was: is.Asks, Impact: is}}, {Update: &closed},
			{Settle: &MatterSettlement{Connection: m.Connection, Resource: m.Resource, Kinds: []MatterKind{MatterHeld, MatterDelayed}}}}
		return f, Desired{Act: &a}, nil
	}
	_, err := s.Apply(ctx, o, in)
	return err
}

// errClosed says that a matter is not open any more, or was asked about by somebody else.
var errClosed = errors.New("closed meanwhile")

// noteAnswer notes an answer that nothing follows from.
func (s *Service) noteAnswer(ctx context.Context, o Origin, m Matter, is Impact) error {
	err := s.administer(ctx, o, func(tx Tx) ([]step, error) {
		now, err := matterOf(tx, m.ID)
		if err != nil {
			return nil, err
		}
		if now.Status != MatterOpen || now.Impact.Asks != is.Asks {
			return nil, errClosed
		}
		return []step{{matter: &MatterChange{Ask: &AskChange{ID: m.ID, Was: is.Asks, Impact: is}}, reason: ReasonAnswered, connection: o.Connection,
			args: map[string]string{"matter": m.ID, "kind": string(m.Kind), "cause": m.Cause, "resource": m.Resource, "counts": CountsText(is.Counts)}}}, nil
	})
	if errors.Is(err, errClosed) {
		return nil
	}
	return err
}
