package provisioning

import "time"

// Job is work that outlives a request: it is done in steps, each a unit of work that also notes how far
// it came, so that a job goes on where it was interrupted.
type Job struct {
	ID         string // UUIDv7
	Kind       JobKind
	Connection int64 // 0 where none is concerned
	Actor      string
	Params     []byte // JSON, as its kind has it
	Cursor     string // how far it came, as its kind has it
	Done       int
	Total      int // 0 while it is not known
	State      JobState
	Error      string
	Result     []byte // JSON, as its kind has it
	Created    time.Time
	Changed    time.Time
	LeaseUntil time.Time
	Fence      int64 // of the lease: who was overtaken cannot write
}

// JobKind is what a job does.
type JobKind string

// JobState is how it stands.
type JobState string

const (
	JobQueued  JobState = "queued"
	JobRunning JobState = "running"
	JobDone    JobState = "done"
	JobFailed  JobState = "failed"
)

// JobChange creates a job or notes its progress: Cursor, Done, Total, State, Error, Result, Changed and
// LeaseUntil, guarded by Fence. One that was overtaken is Conflict "fence".
type JobChange struct {
	Create   *Job
	Progress *Job
	Erase    *Job // by ID: Result is written, whoever holds the lease
}
