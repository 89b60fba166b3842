package provisioning

import (
	"time"

	"meibo/scim"
)

// Matter is something that waits for a person: a departure that is held, withheld or delayed, or an account
// that may be somebody else's. At most one is open for each Key.
type Matter struct {
	ID         string // UUIDv7
	Connection int64
	Kind       MatterKind
	Cause      string            // of a departure; "" for MatterAdoption
	Resource   string            // id of what it is about; of MatterAdoption "" until somebody chose one
	Type       scim.ResourceType // of the resource
	Name       string            // userName or displayName, for people
	Key        string            // folds together what is asked again and again; unique among the open ones of a connection
	Reason     Reason
	Then       DeletionPolicy // what allowing it does to the resource; "" for MatterAdoption
	Candidates []string       // of MatterAdoption: ids of the accounts that may be meant
	Asserted   []byte         // of MatterAdoption: the document that the client sent
	Members    []string       // of a removal from a group that was delayed or withheld: those to be removed; of one rejected, who still may be asked for
	Opened     time.Time
	Entry      string    // id of the entry that opened it
	Seen       time.Time // when it was asked for last
	Times      int       // how often it was asked for
	Status     MatterStatus
	Until      time.Time // of MatterAllowed and MatterRejected: how long it holds; zero: for ever
	ClosedAt   time.Time
	ClosedBy   string // actor
	Proposed   string // with a second person demanded: who chose Status first; "" while nobody did
	Impact     Impact // what the host application said of it
	Version    int64
}

// MatterKind is why something waits.
type MatterKind string

const (
	MatterHeld     MatterKind = "held"     // by policy, or by tolerance in mode withhold
	MatterKept     MatterKind = "kept"     // by a guard
	MatterDelayed  MatterKind = "delayed"  // by tolerance in mode delay: the client repeats it
	MatterAdoption MatterKind = "adoption" // whose account is it?
	MatterPurge    MatterKind = "purge"    // the grace time is over
	MatterProposal MatterKind = "proposal" // a change that somebody else has to ask for, too
)

// MatterStatus is how it ended.
type MatterStatus string

const (
	MatterOpen     MatterStatus = "open"
	MatterAllowed  MatterStatus = "allowed"  // what was asked for was done, or may be until Until
	MatterRejected MatterStatus = "rejected" // the resource stays as it is, and is not asked about again until Until
	MatterLinked   MatterStatus = "linked"   // the account became the connection's
	MatterCreated  MatterStatus = "created"  // it is somebody else: a new account needs another userName
	MatterIgnored  MatterStatus = "ignored"  // the client keeps its 409, and nobody is told again
	MatterObsolete MatterStatus = "obsolete" // the client asserts otherwise by now
)

// MatterChange opens a matter, or changes one. Opening one whose Key is open already notes that it
// was asked for again.
type MatterChange struct {
	Open   *Matter
	Update *Matter // by ID, guarded by Version; Status, Until, ClosedAt, ClosedBy, Proposed, Resource are written
	Erase  *Matter // by ID: Name, Key, Reason, Asserted, Status, ClosedAt and ClosedBy are written, whatever its version
	// Settle closes as obsolete what is open about a resource, of the kinds named.
	Settle *MatterSettlement
	// Answer notes that a rejected removal of members was asked for again, and ignored.
	Answer *MatterAnswer
	// Ask notes Impact of a matter that is open, by ID. It is guarded by Impact.Asks, which must be one more than it was, or
	// as it was where the answer to a question is noted; persons who choose meanwhile are not overtaken by it.
	Ask *AskChange
}

// AskChange is what is noted of a question to the host application.
type AskChange struct {
	ID     string // of the matter
	Was    int    // Impact.Asks when it was read
	Impact Impact
}

// MatterSettlement names open matters that no longer ask anything, and with Rejected answers that no longer hold.
type MatterSettlement struct {
	Connection int64
	Resource   string
	Kinds      []MatterKind
	Except     string // key of the one that stays open; "" for none
	Only       string // key of the only one that is meant; "" for all
	Rejected   bool   // and delayed ones that a person rejected: their word is about a departure that is over
	At         time.Time
	By         string
}

// MatterAnswer notes of whom a rejected removal of members has yet to be asked for again: of them alone the word holds on. With
// nobody left it ends At then.
type MatterAnswer struct {
	ID   string // of the matter
	Left []string
	At   time.Time
}

// MatterQuery selects matters; zero fields select all.
type MatterQuery struct {
	ID         string
	Connection int64
	Kind       MatterKind
	Status     MatterStatus
	Resource   string
	Before     string // id: only older ones, for paging
	Limit      int
}
