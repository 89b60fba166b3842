package api

import (
	"net/http"
	"time"
)

const (
	// pollEvery is how often those who wait look whether there is something. They hold no connection of the database
	// meanwhile.
	pollEvery = 250 * time.Millisecond
	// maxWaiting bounds how many wait for changes at a time; for more, waiting ends with their patience.
	maxWaiting = 64
	// maxStreams bounds how many follow the log at a time; more are refused.
	maxStreams = 64
	// maxExports bounds how many exports of the directory are written at a time: each holds a connection of the database, and one
	// state of it, for as long as its client reads.
	maxExports = 2
	// exportTimeout bounds how long that may be.
	exportTimeout = 5 * time.Minute
	// patience is how long one waits for a place, so that clients who ask for ever do not ask without a pause.
	patience = time.Second
)

// places are those of requests that stay open; as many as its capacity are there at a time.
type places chan struct{}

// take takes a place, and reports whether there was one before the time was over.
func (c *call) take(p places, within time.Duration) bool {
	since := c.Now()
	defer func() { c.idle += c.Now().Sub(since) }()
	patient := time.NewTimer(within)
	defer patient.Stop()
	select {
	case p <- struct{}{}:
		c.Waiting(1)
		return true
	case <-patient.C:
	case <-c.context().Done():
	}
	return false
}

// leave gives a place back.
func (c *call) leave(p places) {
	c.Waiting(-1)
	<-p
}

// poll looks again and again until it is told that there is something, the time is over, or the server leaves. An error is
// look's, or says that the client has gone.
func (c *call) poll(within time.Duration, look func() (found bool, err error)) error {
	end := time.NewTimer(within)
	defer end.Stop()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for !c.Leaving() {
		since := c.Now()
		select {
		case <-tick.C:
		case <-end.C:
			c.idle += c.Now().Sub(since)
			return nil
		case <-c.context().Done():
			return c.context().Err()
		}
		c.idle += c.Now().Sub(since)
		if found, err := look(); found || err != nil {
			return err
		}
	}
	return nil
}

// unknownPosition is the answer to who has come further than the journal.
func unknownPosition() *Problem {
	return newProblem(http.StatusConflict, "unknownPosition",
		"the journal has not come to that position: the database was restored from a backup, or is another one; read everything again and go on from head")
}
