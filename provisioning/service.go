package provisioning

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/google/uuid"

	"meibo/scim"
)

// Options are what a Service needs.
type Options struct {
	Store Store
	Now   func() time.Time // nil: the system clock
	NewID func() string    // nil: UUIDv7 in lower case
	// Decided hears of each entry that has come into the journal, in the journal's words; nil for nobody.
	Decided func(JournalAction, Outcome)
	// Swept hears after each sweep what waits for a person; nil for nobody.
	Swept func(Waiting)
	// CaptureRetention is how long captured requests are kept; zero: not at all, and those that are there go.
	CaptureRetention time.Duration
	// OpenCapture opens a captured request of a tenant; an error says that nobody can with what the server has. nil: none can be opened.
	OpenCapture func(tenant string, c Capture) (OpenedCapture, error)
	// Impact asks a host application what hangs on an account, outside of any unit of work, and returns what it counted by
	// name. The text of its error is shown to people and stored, so that nothing of an answer is in it. nil: nothing to sign
	// a question with, so that settings which want one are refused.
	Impact func(context.Context, ImpactQuery) (map[string]int64, error)
	// LogRetention is how long the journal is kept; zero: for ever.
	LogRetention time.Duration
}

// errSealed is what captures come to that were sealed with a key that is not here.
var errSealed = errors.New("there is no key to open captured requests with")

// Service is the one way to read and change a directory. It is safe for concurrent use.
type Service struct {
	store Store
	now   func() time.Time
	newID func() string
	heard func(JournalAction, Outcome)
	swept func(Waiting)
	asks  func(context.Context, ImpactQuery) (map[string]int64, error) // nil where nothing can be asked

	open func(tenant string, c Capture) (OpenedCapture, error)

	traffic   traffic
	hosts     hosts
	captures  time.Duration // how long they are kept; zero: not at all
	retention time.Duration // of the journal; zero: for ever
	flagged   sync.Map      // of tenants to map[string]bool: ids of the overdue matters that the journal has, as of the last sweep
	compiled  sync.Map      // of ids of connections to []*Rules: see keepRules
}

// New returns a Service on a store.
func New(o Options) *Service {
	s := &Service{store: o.Store, now: o.Now, newID: o.NewID, heard: o.Decided, swept: o.Swept, captures: o.CaptureRetention, retention: o.LogRetention, asks: o.Impact, open: o.OpenCapture}
	if s.open == nil {
		s.open = func(string, Capture) (OpenedCapture, error) { return OpenedCapture{}, errSealed }
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.newID == nil {
		s.newID = func() string { return uuid.Must(uuid.NewV7()).String() }
	}
	if s.heard == nil {
		s.heard = func(JournalAction, Outcome) {}
	}
	if s.swept == nil {
		s.swept = func(Waiting) {}
	}
	return s
}

// decided tells of entries once they are durable. A unit of work that runs again tells nothing.
func (s *Service) decided(tenant string, entries ...Entry) {
	s.traffic.journalled(tenant, entries)
	for i := range entries {
		s.heard(entries[i].Action, entries[i].Outcome)
	}
}

// Now is the service's clock: UTC, truncated to the microseconds that both databases keep.
func (s *Service) Now() time.Time { return s.now().UTC().Truncate(time.Microsecond) }

// Origin says on whose behalf a write happens. It is part of every entry.
type Origin struct {
	Tenant      string
	Connection  Connection // zero for an administrator at the command line
	Actor       string     // "token …7f3c", "command line"
	Correlation string     // UUID of the request
	Request     RequestInfo
	Started     time.Time // when the request arrived; zero where there is none
	// Status is the status code that the adapter answers for an outcome of this write, so that the
	// journal can name it; nil where nothing is answered.
	Status func(error) int
}

// scope is what the connection sees of one type.
func (o Origin) scope(t scim.ResourceType) Scope { return Scope{Connection: o.Connection.ID, Type: t} }

// stamps are the time and the ids of the entries of one unit of work. They are the same however
// often it runs.
type stamps struct {
	now   time.Time
	newID func() string
	ids   []string
}

func (s *Service) stamps() *stamps { return &stamps{now: s.Now(), newID: s.newID} }

// id is the i-th id, from 0.
func (st *stamps) id(i int) string {
	for len(st.ids) <= i {
		st.ids = append(st.ids, st.newID())
	}
	return st.ids[i]
}

// put stamps the i-th entry, from 0.
func (st *stamps) put(e *Entry, i int) { e.ID, e.At = st.id(i), st.now }
