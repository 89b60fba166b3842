package drill

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/sync/errgroup"
)

// Options says what to play and against whom. BaseURL and Token are required; every other zero value is usable.
type Options struct {
	BaseURL string // the SCIM base, such as https://host/t/acme/scim/v2; a query on it goes along with every request
	Token   string

	Users   int    // 0 means 100, or what the scenario needs
	Groups  int    // 0 means none, or what the scenario needs
	Members int    // memberships over all groups together, at most Users × Groups; 0 means none, or what the scenario needs
	Seed    uint64 // with Dialect it decides the company and every choice of the run; on a used connection take a new one

	// Scenario is a story to play instead of a whole job, under the rules of Preset; "" for none. The connection must be a fresh one.
	Scenario Scenario
	Preset   Preset // that the connection's settings are; of a scenario only
	Person   Person // does what a person does in a scenario; nil: those steps are skipped
	Host     Host   // sees accounts as the host application does; nil: nobody looks

	Dialect Dialect // "" means Default
	Cycles  int     // incremental cycles; 0 means 1
	Workers int     // objects in flight; 0 means 8
	Foreign bool    // not meibo: what only meibo promises is a warning, not an error

	Progress io.Writer // a bar on a terminal, plain lines elsewhere; nil means silence
	WritesTo io.Writer // every answered write as NDJSON while the run goes on; nil means none

	Client *http.Client                               // nil means one with a time limit of a minute; redirects are never followed
	Now    func() time.Time                           // nil means time.Now
	Sleep  func(context.Context, time.Duration) error // waits out a Retry-After; nil means a timer
}

// Run plays one Entra ID job and returns its report. The error tells that the drill could not be played at all (an option that makes no sense,
// the context's end, WritesTo failing); what the server did wrong is in the report, whose OK method is the verdict.
func Run(ctx context.Context, opt Options) (*Report, error) {
	ownClient := opt.Client == nil
	base, err := opt.complete()
	if err != nil {
		return nil, fmt.Errorf("drill: %w", err)
	}
	if ownClient {
		defer opt.Client.CloseIdleConnections()
	}
	rep := newReport(opt)
	run, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	d := newDrill(opt, base, rep, stop)
	began := opt.Now()
	d.play(run)
	d.bar.end()
	rep.conclude(opt.Now().Sub(began))
	if err := ctx.Err(); err != nil {
		return rep, fmt.Errorf("drill: interrupted: %w", context.Cause(ctx))
	}
	if run.Err() != nil {
		rep.Stopped = context.Cause(run).Error()
	}
	if rep.writesErr != nil {
		return rep, fmt.Errorf("drill: record writes: %w", rep.writesErr)
	}
	return rep, nil
}

// complete fills the defaults and names every option that makes no sense.
func (o *Options) complete() (*url.URL, error) {
	story, err := o.story()
	if err != nil {
		return nil, err
	}
	o.Users, o.Groups, o.Members = story.sizes(*o)
	o.Dialect = orElse(o.Dialect, Default)
	o.Cycles = orElse(o.Cycles, 1)
	o.Workers = orElse(o.Workers, 8)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Sleep == nil {
		o.Sleep = sleep
	}
	o.Client = withoutRedirects(o.Client, o.Workers)
	base, err := url.Parse(o.BaseURL)
	var errs []error
	if err != nil || base.Host == "" || (base.Scheme != "http" && base.Scheme != "https") {
		errs = append(errs, fmt.Errorf("base URL %q: give an absolute http or https address", o.BaseURL))
	}
	if o.Token == "" {
		errs = append(errs, errors.New("token is empty: create one for the connection and give it"))
	}
	if o.Dialect != Default && o.Dialect != Flag {
		errs = append(errs, fmt.Errorf("dialect %q: use %q or %q", o.Dialect, Default, Flag))
	}
	return base, errors.Join(append(errs, o.CheckSizes())...)
}

// CheckSizes says what of the numbers makes no sense; zero stands for the default.
func (o Options) CheckSizes() error {
	if min(o.Users, o.Cycles, o.Workers, o.Groups, o.Members) < 0 {
		return errors.New("users, groups, members, cycles and workers must not be negative")
	}
	story, err := o.story()
	if err != nil {
		return err
	}
	if users, groups, members := story.sizes(o); members > users*groups {
		return fmt.Errorf("%d memberships do not fit into %d groups of at most %d users: lower members or raise groups", members, groups, users)
	}
	return nil
}

const defaultUsers = 100

func orElse[T comparable](v, fallback T) T {
	var zero T
	if v == zero {
		return fallback
	}
	return v
}

// withoutRedirects copies the client, since a token must not follow a redirect to another host.
func withoutRedirects(c *http.Client, workers int) *http.Client {
	if c == nil {
		transport := &http.Transport{Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: workers, ForceAttemptHTTP2: true}
		c = &http.Client{Transport: transport, Timeout: time.Minute}
	}
	own := *c
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &own
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

func newReport(o Options) *Report {
	return &Report{
		BaseURL: o.BaseURL, Dialect: o.Dialect, Scenario: o.Scenario, Preset: o.Preset, Seed: o.Seed, Users: o.Users, Groups: o.Groups, Members: o.Members,
		Kinds: map[string]Kind{}, Faults: map[string]int{}, Warnings: map[string]int{},
		byKind: map[string][]time.Duration{}, seen: map[string]bool{}, writesTo: o.WritesTo,
	}
}

// drill is one job: a client, the directory that it provisions and the choices still to make.
type drill struct {
	*client
	company *company
	rules   rules      // what a scenario expects
	rng     *rand.Rand // used between phases only, so that workers do not change what is drawn
	bar     *progress
}

func newDrill(opt Options, base *url.URL, rep *Report, stop context.CancelCauseFunc) *drill {
	rng := rand.New(rand.NewPCG(opt.Seed, opt.Dialect.stream()))
	return &drill{
		client:  &client{opt: opt, base: base, rep: rep, stop: stop},
		company: newCompany(rng, opt.Users, opt.Groups, opt.Members, opt.Cycles*share(opt.Users, 40)),
		rules:   presets[opt.Preset],
		rng:     rng,
		bar:     newProgress(opt.Progress, opt.Now),
	}
}

// play goes through the job, or the scenario. Each step returns at once when the run was stopped.
func (d *drill) play(ctx context.Context) {
	if d.opt.Scenario != "" {
		d.tell(ctx, stories[d.opt.Scenario])
		return
	}
	d.probe(ctx)
	d.initialCycle(ctx)
	d.testConnection(ctx) // again, now that a filter can be ignored with effect
	d.steadyCycle(ctx)
	d.checkMembers(ctx)
	d.walks(ctx)
	for cycle := range d.opt.Cycles {
		d.incrementalCycle(ctx, cycle)
		d.steadyCycle(ctx)
		d.checkMembers(ctx)
		d.walks(ctx) // again, now that there are leavers
	}
}

// each runs fn for every object, several at a time. Requests about one object stay in order because one call of fn makes them all.
func each[T any](ctx context.Context, d *drill, phase string, objects []T, fn func(context.Context, T)) {
	if ctx.Err() != nil || len(objects) == 0 {
		return
	}
	d.bar.begin(phase, len(objects))
	var g errgroup.Group
	g.SetLimit(d.opt.Workers)
	for _, o := range objects {
		if ctx.Err() != nil {
			break
		}
		g.Go(func() error {
			fn(ctx, o)
			d.bar.step()
			return nil
		})
	}
	_ = g.Wait() // fn reports what it finds; it has no error to return
}

// share is one part in n of a count, but at least one.
func share(count, n int) int { return max(count/n, 1) }
