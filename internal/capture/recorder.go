package capture

import (
	"context"
	"sync/atomic"
	"time"

	"meibo/internal/seal"
	"meibo/provisioning"
)

const (
	writeEvery = 250 * time.Millisecond
	maxBatch   = 128
	maxWaiting = 4 << 20 // bytes that wait to be written; what comes on top is dropped
	// writeTimeout bounds a write that does not get through: what was recorded meanwhile would fill the memory.
	writeTimeout = 10 * time.Second
)

// Options are what a Recorder needs.
type Options struct {
	Store   provisioning.Store
	Sealer  *seal.Sealer
	Dropped func(n int) // hears of what could not be kept; nil for nobody
	Report  func(error) // hears of why; nil for nobody
	Kept    func(n int) // hears of what was; nil for nobody
}

// Recorder keeps exchanges. It is safe for concurrent use.
type Recorder struct {
	Options
	queue   chan *Exchange
	waiting atomic.Int64 // bytes in queue
}

// New returns a Recorder; nothing is written unless Run runs.
func New(o Options) *Recorder {
	if o.Dropped == nil {
		o.Dropped = func(int) {}
	}
	if o.Kept == nil {
		o.Kept = func(int) {}
	}
	if o.Report == nil {
		o.Report = func(error) {}
	}
	return &Recorder{Options: o, queue: make(chan *Exchange, maxWaiting>>10)}
}

// Record takes an exchange to be kept; its maps and bytes are the Recorder's from then on. It never waits: where too much
// is waiting, the exchange is dropped.
func (r *Recorder) Record(x Exchange) {
	weight := int64(x.weight())
	if r.waiting.Add(weight) <= maxWaiting {
		select {
		case r.queue <- &x:
			return
		default:
		}
	}
	r.waiting.Add(-weight)
	r.Dropped(1)
}

// Run writes what is recorded until ctx ends, and then what is left, as far as that gets through soon.
func (r *Recorder) Run(ctx context.Context) {
	tick := time.NewTicker(writeEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
			defer cancel()
			for r.write(last) {
			}
			return
		case <-tick.C:
			for r.write(ctx) {
			}
		}
	}
}

// write writes one batch of what waits, and reports whether there may be more.
func (r *Recorder) write(ctx context.Context) bool {
	byTenant, n := map[string][]provisioning.Capture{}, 0
	for ; n < maxBatch && len(r.queue) > 0; n++ {
		x := <-r.queue
		r.waiting.Add(-int64(x.weight()))
		sealed, err := r.seal(x)
		if err != nil {
			r.lost(1, err)
			continue
		}
		byTenant[x.Tenant] = append(byTenant[x.Tenant], provisioning.Capture{Correlation: x.Correlation, Connection: x.Connection, At: x.At, Sealed: sealed})
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	for tenant, captures := range byTenant {
		err := r.Store.Update(ctx, tenant, func(tx provisioning.Tx) error { return tx.Commit(provisioning.Batch{Captures: captures}) })
		if err != nil {
			r.lost(len(captures), err)
		} else {
			r.Kept(len(captures))
		}
	}
	return n == maxBatch
}

func (r *Recorder) lost(n int, err error) {
	r.Dropped(n)
	r.Report(err)
}

func (r *Recorder) seal(x *Exchange) ([]byte, error) {
	x.redact()
	plain, err := x.encode()
	if err != nil {
		return nil, err
	}
	return r.Sealer.Seal(x.Tenant, x.Correlation, plain)
}

// Exchange reads what was kept of a request. NotFound; seal.ErrOpen where the key has changed since.
func (r *Recorder) Exchange(ctx context.Context, tenant, correlation string) (Exchange, error) {
	kept, err := provisioning.View(ctx, r.Store, tenant, func(x provisioning.Reader) (provisioning.Capture, error) { return x.Capture(correlation) })
	if err != nil {
		return Exchange{}, err
	}
	return r.exchange(tenant, kept)
}

func (r *Recorder) exchange(tenant string, kept provisioning.Capture) (Exchange, error) {
	plain, err := r.Sealer.Open(tenant, kept.Correlation, kept.Sealed)
	if err != nil {
		return Exchange{}, err
	}
	x, err := decode(plain)
	x.Tenant, x.Correlation, x.Connection, x.At = tenant, kept.Correlation, kept.Connection, kept.At
	return x, err
}

// Page is a piece of what was kept, latest first.
type Page struct {
	Exchanges []Exchange // one that cannot be opened has Correlation, Connection and At alone: its Method is ""
	Next      string     // as in provisioning.CapturePage
}

// Exchanges reads what was kept of the requests that q selects, with an entry in the journal or without.
func (r *Recorder) Exchanges(ctx context.Context, tenant string, q provisioning.CaptureQuery) (out Page, err error) {
	kept, err := provisioning.View(ctx, r.Store, tenant, func(x provisioning.Reader) (provisioning.CapturePage, error) { return x.Captures(q) })
	out.Next = kept.Next
	for _, c := range kept.Captures {
		x, err := r.exchange(tenant, c)
		if err != nil { // sealed with another key
			x = Exchange{Tenant: tenant, Correlation: c.Correlation, Connection: c.Connection, At: c.At}
		}
		out.Exchanges = append(out.Exchanges, x)
	}
	return out, err
}

// Open opens what was kept, for who looks for somebody in it. seal.ErrOpen where the key has changed since.
func (r *Recorder) Open(tenant string, kept provisioning.Capture) (provisioning.OpenedCapture, error) {
	x, err := r.exchange(tenant, kept)
	return provisioning.OpenedCapture{Method: x.Method, Target: x.Target, Status: x.Status, Texts: []string{string(x.Request.Text), string(x.Answer.Text)}}, err
}
