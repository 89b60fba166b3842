package provisioning

import (
	"context"
	"fmt"
	"time"
)

// Capture is a request with its answer, sealed by whoever took it. It belongs to the entries with its correlation.
type Capture struct {
	Correlation string // UUIDv7
	Connection  int64
	At          time.Time // when the request arrived
	Sealed      []byte
}

// OpenedCapture is what a captured request says.
type OpenedCapture struct {
	Method, Target string // as it came
	Status         int
	Texts          []string // the bodies of request and answer
}

// CaptureQuery selects captures; zero fields select all.
type CaptureQuery struct {
	Connection int64
	Since      time.Time
	Until      time.Time // exclusive
	Before     string    // correlation: only those that came earlier, for paging
	Limit      int
}

// CapturePage is a piece of a tenant's captures, latest first.
type CapturePage struct {
	Captures []Capture
	Next     string // Before of the query for what follows; "" at the end
}

// maxDebug is how long every request of a connection may be captured, at most.
const maxDebug = 24 * time.Hour

// captureStride bounds one deletion of old captures.
const captureStride = 500

// Debug has every request of a connection captured for some time, reads that went well included; zero ends it. It takes effect
// within a second. Invalid for more than a day, NotFound.
func (s *Service) Debug(ctx context.Context, o Origin, connection string, length time.Duration) (Connection, error) {
	if length < 0 || length > maxDebug {
		return Connection{}, &Error{Kind: Invalid, Attribute: "debug", Detail: fmt.Sprintf("every request of a connection is captured for %v at most; begin anew then", maxDebug)}
	}
	var until time.Time
	if length > 0 {
		until = s.Now().Add(length)
	}
	var after Connection
	err := s.administer(ctx, o, func(tx Tx) ([]step, error) {
		c, err := connectionOf(tx, o.Tenant, connection)
		if err != nil {
			return nil, err
		}
		after = c
		after.DebugUntil = until
		return []step{{change: AdminChange{DebugConnection: &after}, reason: ReasonDebug, connection: c,
			diff: []AttributeChange{{Path: "debugUntil", Old: instant("", c.DebugUntil).New, New: instant("", until).New}}}}, nil
	})
	return after, err
}

// forgetCaptures deletes the captures that are older than they shall get: all of them, where none are kept.
func (s *Service) forgetCaptures(ctx context.Context) error {
	for {
		n, err := s.store.DropCaptures(ctx, s.Now().Add(-s.captures), captureStride)
		if err != nil || n < captureStride {
			return err
		}
	}
}
