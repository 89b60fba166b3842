package provisioning

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"meibo/scim"
)

// Choice is what a person chooses of one of many matters, which is named in one way.
type Choice struct {
	Line       int    // of a file; 0 for none
	Matter     string // id
	UserName   string // of whom it is about; displayName of a group
	ExternalID string // the same
	Resolution Resolution
}

// Chosen is what came of a choice.
type Chosen struct {
	Choice  Choice
	Matter  Matter // as it is then
	Outcome ChoiceOutcome
	Detail  string // why it failed
}

// ChoiceOutcome is what came of a choice.
type ChoiceOutcome string

const (
	ChoicePlanned ChoiceOutcome = "planned" // would be done
	ChoiceDone    ChoiceOutcome = "done"
	ChoiceAlready ChoiceOutcome = "already" // it was so before
	ChoiceWaits   ChoiceOutcome = "waits"   // for a second person who chooses the same
	ChoiceFailed  ChoiceOutcome = "failed"  // see the detail; the others are done all the same
)

// ChoiceFault is a mistake in one of many choices.
type ChoiceFault struct {
	Line   int
	Detail string // what is wrong and what to do
}

func (f ChoiceFault) Error() string { return fmt.Sprintf("line %d: %s", f.Line, f.Detail) }

// ChoiceFaults are all mistakes in many choices, of which none is done then.
type ChoiceFaults []ChoiceFault

func (f ChoiceFaults) Error() string {
	lines := make([]string, len(f))
	for i, fault := range f {
		lines[i] = fault.Error()
	}
	return strings.Join(lines, "\n")
}

// MaxChoices is how many choices are made at once.
const MaxChoices = 10_000

// choiceWords are the ways to write a choice in a file.
var choiceWords = map[string]MatterStatus{
	"allow": MatterAllowed, "allowed": MatterAllowed, "reject": MatterRejected, "rejected": MatterRejected,
	"link": MatterLinked, "linked": MatterLinked, "create": MatterCreated, "created": MatterCreated,
	"ignore": MatterIgnored, "ignored": MatterIgnored,
}

// ReadChoices reads a CSV file whose first line names its columns: matter, userName or externalId, of which each row fills one
// at least; choice; and candidate, of a link. The error is a ChoiceFaults with every mistake that the file shows by itself.
func ReadChoices(from io.Reader) ([]Choice, error) {
	r := csv.NewReader(from)
	r.FieldsPerRecord = -1
	header, err := r.Read()
	if err != nil {
		return nil, ChoiceFaults{{1, "there is no line that names the columns; begin with matter,choice or userName,choice,candidate"}}
	}
	header[0] = strings.TrimPrefix(header[0], "\ufeff")
	columns, faults := choiceColumns(header)
	var out []Choice
	for {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		var broken *csv.ParseError
		if errors.As(err, &broken) {
			faults = append(faults, ChoiceFault{broken.Line, "the line is no CSV; mend its quotes"})
			break
		}
		if err != nil {
			return nil, err
		}
		line, _ := r.FieldPos(0) // panics where nothing was read
		if len(out) == MaxChoices {
			faults = append(faults, ChoiceFault{line, fmt.Sprintf("a file has at most %d rows; split it", MaxChoices)})
			break
		}
		c, fault := columns.read(line, record)
		if out = append(out, c); fault != "" {
			faults = append(faults, ChoiceFault{line, fault})
		}
	}
	if len(faults) > 0 {
		return nil, faults
	}
	return out, nil
}

// choiceFields are the columns of a file, in order.
type choiceFields []func(*Choice) *string

func choiceColumns(header []string) (fields choiceFields, faults ChoiceFaults) {
	known := map[string]func(*Choice) *string{
		"matter": func(c *Choice) *string { return &c.Matter }, "username": func(c *Choice) *string { return &c.UserName },
		"externalid": func(c *Choice) *string { return &c.ExternalID }, "candidate": func(c *Choice) *string { return &c.Resolution.Candidate },
		"choice": func(c *Choice) *string { return (*string)(&c.Resolution.Status) },
	}
	has := map[string]bool{}
	for i, name := range header {
		name = strings.ToLower(strings.TrimSpace(name))
		field := known[name]
		switch {
		case field == nil:
			faults = append(faults, ChoiceFault{1, fmt.Sprintf("column %d has a name that is none; use matter, userName, externalId, choice, candidate", i+1)})
		case has[name]:
			faults = append(faults, ChoiceFault{1, fmt.Sprintf("the column %s is there twice; remove one", name)})
		}
		has[name] = true
		fields = append(fields, field)
	}
	if !has["choice"] || !has["matter"] && !has["username"] && !has["externalid"] {
		faults = append(faults, ChoiceFault{1, "the columns choice and one of matter, userName and externalId are needed; add them"})
	}
	return fields, faults
}

// read reads one row; fault says what is wrong with it by itself.
func (f choiceFields) read(line int, record []string) (c Choice, fault string) {
	c.Line = line
	if len(record) != len(f) {
		return c, fmt.Sprintf("there are %d values for %d columns; write one for each", len(record), len(f))
	}
	for i, field := range f {
		if field != nil {
			*field(&c) = strings.TrimSpace(record[i])
		}
	}
	status, known := choiceWords[strings.ToLower(string(c.Resolution.Status))]
	switch c.Resolution.Status = status; {
	case !known:
		return c, "choice says none; write allow, reject, link, create or ignore"
	case c.Matter == "" && c.UserName == "" && c.ExternalID == "":
		return c, "nobody is named; fill matter, userName or externalId"
	case c.Resolution.Candidate != "" && status != MatterLinked:
		return c, "only a link has a candidate; leave it empty"
	}
	return c, ""
}

// Choose makes many choices: all of them are looked at first, and with a mistake in any of them nothing is done and the error is
// a ChoiceFaults. Then each is a unit of work of its own, whose outcome stands by itself. Repeated, what was chosen before is
// so already. With dryRun nothing is done.
func (s *Service) Choose(ctx context.Context, o Origin, choices []Choice, dryRun bool) ([]Chosen, error) {
	out, err := s.planChoices(ctx, o, choices)
	if err != nil || dryRun {
		return out, err
	}
	for i := range out {
		c := &out[i]
		if c.Outcome != ChoicePlanned {
			continue
		}
		m, err := s.Resolve(ctx, o, c.Matter.ID, c.Choice.Resolution)
		own := new(Error)
		switch {
		case err == nil && m.Status == MatterOpen:
			c.Outcome = ChoiceWaits
		case err == nil:
			c.Outcome = ChoiceDone
		case KindOf(err) == Unavailable || !errors.As(err, &own):
			return out, err
		default:
			c.Outcome, c.Detail = ChoiceFailed, own.Detail
			continue
		}
		c.Matter = m
	}
	return out, nil
}

// planChoices finds the matter that each choice means.
func (s *Service) planChoices(ctx context.Context, o Origin, choices []Choice) ([]Chosen, error) {
	f := finder{s: s, tenant: o.Tenant, actor: o.Actor, read: map[MatterStatus][]identified{}}
	f.byExternalID = slices.ContainsFunc(choices, func(c Choice) bool { return c.ExternalID != "" })
	out := make([]Chosen, 0, len(choices))
	lines := map[string]int{}
	var faults ChoiceFaults
	for _, c := range choices {
		chosen, err := f.find(ctx, c)
		fault, ok := errors.AsType[ChoiceFault](err)
		switch {
		case ok:
			faults = append(faults, fault)
			continue
		case err != nil:
			return nil, err
		}
		if line, twice := lines[chosen.Matter.ID]; twice {
			faults = append(faults, ChoiceFault{c.Line, fmt.Sprintf("line %d chooses of the same matter already; remove one", line)})
		}
		lines[chosen.Matter.ID] = c.Line
		out = append(out, chosen)
	}
	if len(faults) > 0 {
		return nil, faults
	}
	return out, nil
}

// finder finds the matters that choices mean, and reads each list of them once.
type finder struct {
	s             *Service
	tenant, actor string
	byExternalID  bool
	read          map[MatterStatus][]identified
}

// identified is a matter with what it is found by.
type identified struct {
	Matter
	name, externalID string
}

// find finds what a choice means. The error is a ChoiceFault where that cannot be chosen.
func (f *finder) find(ctx context.Context, c Choice) (Chosen, error) {
	m, err := f.meant(ctx, c)
	if err != nil {
		return Chosen{}, err
	}
	chosen := Chosen{Choice: c, Matter: m, Outcome: ChoicePlanned}
	fault := func(detail string) (Chosen, error) { return Chosen{}, ChoiceFault{c.Line, detail} }
	switch {
	case m.Status == c.Resolution.Status:
		chosen.Outcome = ChoiceAlready
		return chosen, nil
	case m.Status != MatterOpen:
		return fault(isClosed(m).Detail)
	case !slices.Contains(resolutions[m.Kind], c.Resolution.Status):
		return fault(noSuchChoice(m, c.Resolution.Status).Detail)
	case c.Resolution.Status != MatterLinked:
	default:
		if _, err := m.candidate(c.Resolution.Candidate); err != nil {
			own, _ := errors.AsType[*Error](err)
			return fault(own.Detail)
		}
	}
	if samePerson(m.Proposed, f.actor) && grave(c.Resolution.Status) {
		chosen.Outcome = ChoiceWaits
	}
	return chosen, nil
}

// meant is the one matter that a choice names.
func (f *finder) meant(ctx context.Context, c Choice) (Matter, error) {
	if c.Matter != "" {
		m, err := f.s.Matter(ctx, f.tenant, c.Matter)
		if KindOf(err) == NotFound && err != nil {
			err = ChoiceFault{c.Line, "there is no matter with that id; list them to see their ids"}
		}
		if err == nil && !c.names(identified{Matter: m, name: scim.FoldFull.Apply(m.Name), externalID: c.ExternalID}) {
			err = ChoiceFault{c.Line, "the matter is about another userName; correct one of the two"}
		}
		return m, err
	}
	for _, status := range []MatterStatus{MatterOpen, c.Resolution.Status} {
		all, err := f.list(ctx, status)
		if err != nil {
			return Matter{}, err
		}
		var ids []string
		var found Matter
		for _, m := range all {
			if c.names(m) && slices.Contains(resolutions[m.Kind], c.Resolution.Status) {
				if ids = append(ids, m.ID); len(ids) == 1 {
					found = m.Matter
				}
			}
		}
		switch {
		case len(ids) == 1, len(ids) > 1 && status != MatterOpen:
			return found, nil
		case len(ids) > 1:
			return Matter{}, ChoiceFault{c.Line, fmt.Sprintf("%d open matters are about it (%s); name one of them in the column matter", len(ids), few(ids))}
		}
	}
	return Matter{}, ChoiceFault{c.Line, "no open matter about it has that choice; list the matters to see whom they are about"}
}

// names reports whether a choice names whom a matter is about.
func (c Choice) names(m identified) bool {
	return (c.UserName == "" || scim.FoldFull.Apply(c.UserName) == m.name) && (c.ExternalID == "" || c.ExternalID == m.externalID)
}

// list reads the matters of a status, latest first.
func (f *finder) list(ctx context.Context, status MatterStatus) ([]identified, error) {
	if all, known := f.read[status]; known {
		return all, nil
	}
	all := []identified{}
	err := f.s.FindMatters(ctx, f.tenant, MatterQuery{Status: status}, IdentityFilter{}, func(m Matter, _ bool) error {
		one := identified{Matter: m, name: scim.FoldFull.Apply(m.Name)}
		if f.byExternalID {
			a, err := f.s.Identity(ctx, f.tenant, m)
			if err != nil {
				return err
			}
			one.externalID, _ = a["externalId"].(string)
		}
		all = append(all, one)
		return nil
	})
	f.read[status] = all
	return all, err
}

// Reopen takes a person's answer to an adoption back: what was ignored, or said to be somebody else, is asked about again.
// NotFound; Invalid for what has no such answer, Conflict for a question that is open.
func (s *Service) Reopen(ctx context.Context, o Origin, id string) (Matter, error) {
	var reopened Matter
	err := s.administer(ctx, o, func(tx Tx) ([]step, error) {
		m, err := matterOf(tx, id)
		switch {
		case err != nil:
			return nil, err
		case m.Status == MatterOpen:
			return nil, &Error{Kind: Conflict, Attribute: "status", Detail: "the matter is open already"}
		case m.Status != MatterIgnored && m.Status != MatterCreated:
			return nil, &Error{Kind: Invalid, Attribute: "status",
				Detail: fmt.Sprintf("only what was ignored or said to be somebody else can be asked about again; this matter was %s by %s", m.Status, m.ClosedBy)}
		}
		was := m.Status
		c, err := connectionByID(tx, m.Connection)
		if err != nil {
			return nil, err
		}
		reopened = closedMatter(m, MatterOpen, time.Time{}, "")
		reopened.Until, reopened.Proposed, reopened.Resource = time.Time{}, "", ""
		return []step{{matter: &MatterChange{Update: &reopened}, reason: "matterReopened", connection: c,
			args: map[string]string{"matter": m.ID, "kind": string(m.Kind), "was": string(was)}}}, nil
	})
	return reopened, err
}
