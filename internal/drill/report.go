package drill

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"text/tabwriter"
	"time"
)

// samplesPerName bounds how many errors of one name a report describes; the counts stay exact.
const samplesPerName = 10

// Report is what a run found. It is complete when [Run] returns and then safe for any number of readers.
type Report struct {
	BaseURL       string          `json:"baseUrl"`
	Dialect       Dialect         `json:"dialect"`
	Scenario      Scenario        `json:"scenario,omitempty"` // "" for a whole job
	Preset        Preset          `json:"preset,omitempty"`
	Seed          uint64          `json:"seed"`
	Users         int             `json:"users"`
	Groups        int             `json:"groups"`
	Members       int             `json:"members"`
	Duration      time.Duration   `json:"durationNs"`
	Requests      int             `json:"requests"`
	Throttled     int             `json:"throttled"`         // answers 429 that were obeyed
	Delayed       int             `json:"delayed"`           // departures that a deletion tolerance put off, each time
	Sights        int             `json:"sights"`            // accounts held against what the host application must see
	Skipped       []string        `json:"skipped,omitempty"` // steps that were not played, with the reason
	SteadyPatches int             `json:"steadyPatches"`     // PATCHes that cycles without changes needed; 0 on a right server
	Compared      int             `json:"comparedAttrs"`     // attributes held byte for byte against what was sent, steady cycles only
	Kinds         map[string]Kind `json:"kinds"`             // per kind of request
	Faults        map[string]int  `json:"faults"`            // errors by stable name
	Errors        []Error         `json:"errors,omitempty"`  // at most ten of each name
	Warnings      map[string]int  `json:"warnings"`          // the same names, where a foreign server is free to differ
	Notes         []Error         `json:"notes,omitempty"`   // what the warnings were about
	Writes        []Write         `json:"-"`                 // every answered write, in order of the answers
	Stopped       string          `json:"stopped,omitempty"` // why the run ended early
	byKind        map[string][]time.Duration
	mu            sync.Mutex
	writesTo      io.Writer
	writesErr     error
	seen          map[string]bool // correlation ids
}

// Kind counts the requests of one kind and how long their answers took, throttled ones left out.
type Kind struct {
	Count int           `json:"count"`
	P50   time.Duration `json:"p50Ns"`
	P95   time.Duration `json:"p95Ns"`
	P99   time.Duration `json:"p99Ns"`
	Max   time.Duration `json:"maxNs"`
}

// Error is one way in which an answer would not satisfy Entra ID.
type Error struct {
	Name          string `json:"name"` // stable
	Meaning       string `json:"meaning"`
	Want          string `json:"want"`
	Got           string `json:"got"`
	Method        string `json:"method,omitempty"`
	URL           string `json:"url,omitempty"`
	Body          string `json:"body,omitempty"` // what was sent; synthetic values only, at most 2 KB
	Status        int    `json:"status,omitempty"`
	CorrelationID string `json:"correlationId,omitempty"`
}

// Write is one POST, PATCH, PUT or DELETE that the server answered with neither 429 nor 5xx, or a departure that a tolerance put off.
type Write struct {
	CorrelationID string `json:"correlationId"` // the answer's X-Correlation-Id; "" if it had none
	Method        string `json:"method"`
	Path          string `json:"path"` // with the base URL's path, without the query
	Status        int    `json:"status"`
	ResourceID    string `json:"resourceId"` // "" for a create that failed
}

// OK says that Entra ID would be satisfied: the run came to its end, without errors and without a PATCH in a steady cycle.
func (r *Report) OK() bool {
	return r.Stopped == "" && len(r.Faults) == 0 && r.SteadyPatches == 0
}

// finding records an error, or a warning.
func (r *Report) finding(e Error, warning bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e.Meaning = meaning[fault(e.Name)]
	if warning {
		if r.Warnings[e.Name]++; r.Warnings[e.Name] <= samplesPerName {
			r.Notes = append(r.Notes, e)
		}
		return
	}
	if r.Faults[e.Name]++; r.Faults[e.Name] <= samplesPerName {
		r.Errors = append(r.Errors, e)
	}
}

func (r *Report) answered(kind string, took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Requests++
	r.byKind[kind] = append(r.byKind[kind], took)
}

func (r *Report) throttled() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Requests++
	r.Throttled++
}

func (r *Report) putOff() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Delayed++
}

func (r *Report) sighted() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Sights++
}

// skip notes once that a step was not played.
func (r *Report) skip(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Contains(r.Skipped, what) {
		r.Skipped = append(r.Skipped, what)
	}
}

func (r *Report) compared(n, patches int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Compared += n
	r.SteadyPatches += patches
}

// written keeps a write and says whether its correlation id was seen before.
func (r *Report) written(w Write) (repeated bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Writes = append(r.Writes, w)
	if r.writesTo != nil && r.writesErr == nil {
		r.writesErr = json.NewEncoder(r.writesTo).Encode(w)
	}
	if w.CorrelationID == "" {
		return false
	}
	repeated = r.seen[w.CorrelationID]
	r.seen[w.CorrelationID] = true
	return repeated
}

// conclude turns the latencies into quantiles.
func (r *Report) conclude(took time.Duration) {
	r.Duration = took
	for kind, all := range r.byKind {
		slices.Sort(all)
		r.Kinds[kind] = Kind{len(all), quantile(all, 50), quantile(all, 95), quantile(all, 99), all[len(all)-1]}
	}
}

// quantile of a sorted, non-empty list by the nearest rank.
func quantile(sorted []time.Duration, percent int) time.Duration {
	rank := (len(sorted)*percent + 99) / 100
	return sorted[max(rank, 1)-1]
}

// WriteText writes the report for people.
func (r *Report) WriteText(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "%s, dialect %s, seed %d: %d users, %d groups, %d memberships\n", r.BaseURL, r.Dialect, r.Seed, r.Users, r.Groups, r.Members)
	if r.Scenario != "" {
		fmt.Fprintf(t, "scenario %s under the preset %s: %d departures put off, %d accounts looked at as the host application does\n",
			r.Scenario, orElse(r.Preset, "default"), r.Delayed, r.Sights)
	}
	fmt.Fprintf(t, "%d requests in %s, %d throttled and repeated\n", r.Requests, r.Duration.Round(time.Millisecond), r.Throttled)
	fmt.Fprintf(t, "steady cycles: %d attributes compared, %d PATCHes needed\n\n", r.Compared, r.SteadyPatches)
	fmt.Fprintln(t, "kind\tcount\tp50\tp95\tp99\tmax")
	for _, name := range slices.Sorted(maps.Keys(r.Kinds)) {
		k := r.Kinds[name]
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\t%s\n", name, k.Count, short(k.P50), short(k.P95), short(k.P99), short(k.Max))
	}
	for _, what := range r.Skipped {
		fmt.Fprintf(t, "\nskipped: %s\n", what)
	}
	writeFindings(t, "warning", r.Warnings, r.Notes)
	writeFindings(t, "error", r.Faults, r.Errors)
	fmt.Fprintln(t)
	switch {
	case r.Stopped != "":
		fmt.Fprintf(t, "STOPPED: %s\n", r.Stopped)
	case r.OK():
		fmt.Fprintln(t, "OK: Entra ID would be satisfied")
	default:
		fmt.Fprintf(t, "NOT OK: %d kinds of error\n", len(r.Faults))
	}
	return t.Flush()
}

// writeFindings lists the findings by name, each with its first sample.
func writeFindings(w io.Writer, word string, counts map[string]int, samples []Error) {
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintf(w, "\n%s %s (%d times): %s\n", word, name, counts[name], meaning[fault(name)])
		i := slices.IndexFunc(samples, func(e Error) bool { return e.Name == name })
		e := samples[i]
		fmt.Fprintf(w, "  expected %s\n  got      %s\n", e.Want, e.Got)
		if e.Method != "" {
			fmt.Fprintf(w, "  request  %s %s\n", e.Method, e.URL)
		}
		if e.Body != "" {
			fmt.Fprintf(w, "  body     %s\n", e.Body)
		}
		if e.CorrelationID != "" {
			fmt.Fprintf(w, "  status   %d, correlation id %s\n", e.Status, e.CorrelationID)
		}
	}
}

func short(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }
