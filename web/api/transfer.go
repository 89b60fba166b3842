package api

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"meibo/provisioning"
	"meibo/provisioning/transfer"
	"meibo/scim"
)

// ImportFile is a file of users and groups with what it is to be to the directory.
type ImportFile struct {
	File          string `json:"file" minLength:"1" maxLength:"4194304" doc:"CSV or NDJSON, as docs/export-import.md has it. Larger files are for the command line."`
	Connection    string `json:"connection,omitempty" pattern:"^[a-z0-9-]{1,40}$" doc:"The connection that owns what the rows are, whatever they say; without it, each row says."`
	Nobody        bool   `json:"nobody,omitempty" doc:"Nobody owns what the rows are, whatever they say."`
	DeleteMissing bool   `json:"deleteMissing,omitempty" doc:"Delete what that connection has, or nobody, and the file has not, of the types that it has rows of."`
	NewIDs        bool   `json:"newIDs,omitempty" doc:"Give what is imported ids of its own: for a copy in another tenant of the same database."`
}

// ImportOrder is a file with the plan that was looked at.
type ImportOrder struct {
	ImportFile
	Plan        string `json:"plan" pattern:"^[0-9a-f]{32}$" doc:"Digest of the plan that is to be applied."`
	SkipInvalid bool   `json:"skipInvalid,omitempty" doc:"Leave out rows with mistakes."`
	Allow       int    `json:"allow,omitempty" minimum:"0" maximum:"1000000000" doc:"So many may leave at once, whatever the tolerance is."`
}

// ImportPlan is what a file would change.
type ImportPlan struct {
	Plan     string         `json:"plan" doc:"Digest of the plan: it names the file and the state of all that the file speaks of. Empty for a file that cannot be read to its end."`
	Rows     int            `json:"rows" minimum:"0"`
	Count    map[string]int `json:"count" doc:"Rows by verb: Add, Update, Delete, Skip, Invalid."`
	Planned  []ImportRow    `json:"planned" doc:"The first rows that change something or are at fault."`
	More     bool           `json:"more" doc:"There are more of them than are shown."`
	Verdicts []string       `json:"verdicts" doc:"What the tolerances say of the plan as a whole."`
	Stopped  bool           `json:"stopped" doc:"A connection that asked for this would be stopped: who applies it says how many may leave."`
	TakesTwo string         `json:"takesTwo,omitempty" enum:"protection,role,owner,purge,tolerance" doc:"Why a second person has to order the same: it takes a protection away, gives or takes a guarded role, gives accounts to another connection, erases, or reaches the tolerance."`
}

// ImportRow is what would become of one row.
type ImportRow struct {
	Verb    string         `json:"verb" enum:"Add,Update,Delete,Skip,Invalid"`
	Line    int            `json:"line,omitempty" minimum:"1" doc:"Absent for what is missing from the file."`
	Type    string         `json:"type,omitempty" enum:"User,Group"`
	ID      string         `json:"id,omitempty"`
	Name    string         `json:"name,omitempty"`
	Diff    []ImportChange `json:"diff,omitempty"`
	Joining int            `json:"joining,omitempty" doc:"Of a group: how many members more."`
	Leaving int            `json:"leaving,omitempty" doc:"Of a group: how many members fewer."`
	Warning string         `json:"warning,omitempty" doc:"Code of the reason why something is withheld."`
	Faults  []string       `json:"faults,omitempty" doc:"Mistakes of the row, each with line, column and remedy."`
}

// ImportChange is the difference of one attribute.
type ImportChange struct {
	Path string `json:"path"`
	Old  any    `json:"old,omitempty"`
	New  any    `json:"new,omitempty"`
}

// Imported is what was applied.
type Imported struct {
	Changes int `json:"changes" minimum:"0"`
}

type exportInput struct {
	Type   string `query:"type" enum:"users,groups,all" default:"all" doc:"What to write."`
	Format string `query:"format" enum:"csv,ndjson" default:"csv"`
	Filter string `query:"filter" maxLength:"4096" doc:"SCIM filter over what clients asserted."`
}

type importPlanInput struct{ Body ImportFile }

type importInput struct{ Body ImportOrder }

const (
	transferTag   = "files"
	maxImport     = 2*4<<20 + maxBody // the file with its line ends and quotes escaped
	shownInImport = 1000
)

func (a *api) transferOperations() {
	register(a, operation{id: "exportDirectory", method: http.MethodGet, path: "/export", tag: transferTag, roles: people,
		media:   []string{exportMedia[transfer.CSV], exportMedia[transfer.NDJSON]},
		summary: "Write users and groups to a file", description: "Of every state, with everything that is known of them, as they are at one instant. docs/export-import.md has the formats."},
		(*call).export)
	register(a, operation{id: "planImport", method: http.MethodPost, path: "/import/plan", tag: transferTag, roles: operators, errors: []int{http.StatusNotFound}, maxBody: maxImport, success: http.StatusOK,
		summary: "Show what a file of users and groups would change", description: "Nothing is changed."}, (*call).planImport)
	register(a, operation{id: "importFile", method: http.MethodPost, path: "/import", tag: transferTag, roles: operators, maxBody: maxImport, success: http.StatusOK,
		errors:      []int{http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed},
		summary:     "Change what a file of users and groups asks for",
		description: "Exactly the plan that was looked at, or nothing: 412 if the file or the directory has changed. What was applied before an interruption stays; plan again, and it goes on. A plan that `takesTwo` is answered 403 and noted, and done once somebody else's key orders the same."}, (*call).importFile)
}

var exportMedia = map[transfer.Format]string{transfer.CSV: "text/csv", transfer.NDJSON: "application/x-ndjson"}

// export streams. What fails once it has begun breaks the connection off: half a file must not look like a whole one.
func (c *call) export(in *exportInput) (*huma.StreamResponse, error) {
	o := transfer.ExportOptions{Format: transfer.Format(in.Format), Filter: in.Filter,
		Types: map[string][]scim.ResourceType{"users": {scim.User}, "groups": {scim.Group}, "all": {scim.User, scim.Group}}[in.Type]}
	if err := o.Check(); err != nil {
		return nil, err
	}
	if err := c.findsAmong(in.Filter, o.Types...); err != nil {
		return nil, err
	}
	select {
	case c.exports <- struct{}{}:
	default:
		return nil, &provisioning.Error{Kind: provisioning.Unavailable, Detail: "others export the directory at the moment; come back when they are done"}
	}
	return &huma.StreamResponse{Body: func(ctx huma.Context) {
		defer func() { <-c.exports }()
		ctx.SetHeader("Content-Type", exportMedia[o.Format]+"; charset=utf-8")
		ctx.SetHeader("Content-Disposition", `attachment; filename="`+c.tenant()+"."+in.Format+`"`)
		ending, cancel := context.WithTimeout(c.context(), exportTimeout)
		defer cancel()
		out := bufio.NewWriterSize(patientWriter{c}, streamBuffer)
		_, err := transfer.Export(ending, c.Service, c.tenant(), out, o)
		if err == nil {
			err = out.Flush()
		}
		if err != nil {
			c.fail(err)
		}
	}}, nil
}

// importOptions are those of a file. Invalid where it contradicts itself.
func (c *call) importOptions(in *ImportFile) (transfer.ImportOptions, error) {
	o := transfer.ImportOptions{Service: c.Service, Origin: c.origin(), DeleteMissing: in.DeleteMissing, NewIDs: in.NewIDs,
		Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(in.File)), nil }}
	if in.Nobody && in.Connection != "" {
		return o, &provisioning.Error{Kind: provisioning.Invalid, Detail: "connection and nobody exclude each other; send one of them"}
	}
	if in.Nobody || in.Connection != "" {
		o.Owner = &in.Connection
	}
	return o, nil
}

func (c *call) planImport(in *importPlanInput) (*single[ImportPlan], error) {
	o, err := c.importOptions(&in.Body)
	if err != nil {
		return nil, err
	}
	out := ImportPlan{Count: map[string]int{}, Planned: []ImportRow{}, Verdicts: []string{}}
	o.Planned = func(p transfer.Planned) error {
		switch {
		case p.Verb == transfer.Skip && p.Warning.Code == "":
		case len(out.Planned) == shownInImport:
			out.More = true
		default:
			out.Planned = append(out.Planned, importRow(p))
		}
		return nil
	}
	plan, err := transfer.NewPlan(c.context(), o)
	if broken := faultsOf(err); broken != nil {
		out.Planned = append(out.Planned, ImportRow{Verb: string(transfer.Invalid), Faults: broken})
		out.Count[string(transfer.Invalid)]++
		return &single[ImportPlan]{out}, nil
	}
	if err != nil {
		return nil, err
	}
	out.Plan, out.Rows, out.Stopped, out.TakesTwo = plan.Digest, plan.Rows, plan.Stopped(), plan.Demand
	for verb, n := range plan.Count {
		out.Count[string(verb)] = n
	}
	for _, v := range plan.Verdicts {
		out.Verdicts = append(out.Verdicts, v.String())
	}
	return &single[ImportPlan]{out}, nil
}

// faultsOf are the mistakes that keep a file from being read; nil for any other error.
func faultsOf(err error) []string {
	if _, ok := errors.AsType[*transfer.Fault](err); !ok {
		return nil
	}
	return strings.Split(err.Error(), "\n")
}

func importRow(p transfer.Planned) ImportRow {
	row := ImportRow{Verb: string(p.Verb), Line: p.Line, Type: string(p.Type), ID: p.ID, Name: p.Name,
		Joining: len(p.Members.Add), Leaving: len(p.Members.Remove), Warning: p.Warning.Code}
	for _, d := range p.Diff {
		row.Diff = append(row.Diff, ImportChange(d))
	}
	for _, f := range p.Faults {
		row.Faults = append(row.Faults, f.Error())
	}
	return row
}

func (c *call) importFile(in *importInput) (*single[Imported], error) {
	o, err := c.importOptions(&in.Body.ImportFile)
	if err != nil {
		return nil, err
	}
	if in.Body.DeleteMissing && in.Body.SkipInvalid {
		return nil, &provisioning.Error{Kind: provisioning.Invalid,
			Detail: "deleteMissing and skipInvalid exclude each other: a row with a mistake may be the one that seems to be missing; send one of them"}
	}
	plan, err := transfer.NewPlan(c.context(), o)
	if faultsOf(err) != nil {
		return nil, &provisioning.Error{Kind: provisioning.Invalid, Detail: "the file cannot be read to its end, and nothing was applied; its plan says where"}
	}
	if err != nil {
		return nil, err
	}
	if err := plan.Permits(transfer.Permission{Plan: in.Body.Plan, SkipInvalid: in.Body.SkipInvalid, Allow: in.Body.Allow}); err != nil {
		return nil, err
	}
	n, err := transfer.Apply(c.context(), o, plan)
	if stopped, ok := errors.AsType[*transfer.Stopped](err); ok && provisioning.KindOf(err) != provisioning.Internal {
		err = &provisioning.Error{Kind: provisioning.KindOf(err), Detail: stopped.Error(), Err: err}
	}
	return &single[Imported]{Imported{n}}, err
}
