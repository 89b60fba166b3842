package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"meibo/provisioning"
	"meibo/provisioning/settings"
)

// SettingsVersion is one version of a connection's settings.
type SettingsVersion struct {
	SettingsHead
	Settings document `json:"settings" doc:"Every key of it; docs/settings.schema.json says what each means."`
}

// SettingsHead says which version it is, and whose.
type SettingsHead struct {
	Version int64     `json:"version" minimum:"0" doc:"0 is what every connection starts with."`
	At      time.Time `json:"at"`
	Actor   string    `json:"actor,omitempty" doc:"Who put it in force; absent for version 0."`
	Comment string    `json:"comment,omitempty"`
	Preset  string    `json:"preset,omitempty" doc:"What it departs from."`
}

// document is a settings document in JSON.
type document json.RawMessage

// MarshalJSON implements json.Marshaler.
func (d document) MarshalJSON() ([]byte, error) { return d, nil }

// UnmarshalJSON implements json.Unmarshaler.
func (d *document) UnmarshalJSON(b []byte) error {
	*d = append(document(nil), b...)
	return nil
}

// Schema implements huma.SchemaProvider.
func (document) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true, Description: "A settings document: what docs/settings.schema.json describes."}
}

// SettingsPlan is what a document would change.
type SettingsPlan struct {
	Version  int64           `json:"version" doc:"The one in force, which it was compared with."`
	Keys     []SettingChange `json:"keys"`
	Accounts []PlannedChange `json:"accounts" doc:"The first users and groups on which it would decide otherwise."`
	More     bool            `json:"more" doc:"There may be more of them than are shown."`
	Stopped  string          `json:"stopped,omitempty" doc:"Why it would not be put in force without allow: more would leave at once than the tolerance lets go."`
}

// SettingChange is the difference of one key.
type SettingChange struct {
	Key     string `json:"key"`
	InForce any    `json:"inForce"`
	Planned any    `json:"planned"`
}

// PlannedChange is what a document would do to one user or group.
type PlannedChange struct {
	ID     string `json:"id" format:"uuid"`
	Type   string `json:"type" enum:"User,Group"`
	State  string `json:"state" enum:"active,suspended,held,removed" doc:"As it is."`
	Then   string `json:"then,omitempty" enum:"active,suspended,held,removed" doc:"As it would be."`
	Action string `json:"action,omitempty"`
	Error  string `json:"error,omitempty" doc:"Why it would be refused."`
}

// MappingTest is what a document's mapping would do to the users that are there.
type MappingTest struct {
	Users   int           `json:"users" doc:"How many were looked at: those whom the connection's client sees."`
	Changed int           `json:"changed" doc:"Whose effective attributes would differ."`
	Refused int           `json:"refused" doc:"Who would stay as they are: a row has no value for them, or somebody else has their userName."`
	Rows    []MappingRow  `json:"rows" doc:"The mapping's in their order; then other attributes that differ."`
	First   []MappingUser `json:"first" doc:"The first users of whom there is something to be said."`
	Partial bool          `json:"partial" doc:"There was no time to look at all users."`
}

// MappingRow counts what one row would do.
type MappingRow struct {
	Target     string `json:"target"`
	Changes    int    `json:"changes"`
	Collisions int    `json:"collisions" doc:"Another account has that userName."`
	Empty      int    `json:"empty" doc:"It comes out empty, and may."`
	Required   int    `json:"required" doc:"It comes out empty and must not."`
	TooLong    int    `json:"tooLong"`
	Characters int    `json:"characters" doc:"Not as the row demands."`
	Other      int    `json:"other" doc:"An expression that fails, or a value of the wrong type."`
	Guesses    int    `json:"guesses" doc:"Proposed by Kana or Romanize."`
}

// MappingUser is what the mapping would do to one user.
type MappingUser struct {
	ID       string           `json:"id" format:"uuid"`
	Name     string           `json:"name" doc:"Its asserted userName, in small letters."`
	Findings []MappingFinding `json:"findings"`
}

// MappingFinding is what is to be said of one attribute.
type MappingFinding struct {
	Target string `json:"target"`
	Kind   string `json:"kind" enum:"change,collision,room,unset,guess,empty,length,characters,type,expression" doc:"With collision, empty, length, characters, type and expression the user would stay as it is; with room it gives its userName up to another one."`
	Old    any    `json:"old,omitempty"`
	New    any    `json:"new,omitempty"`
	With   string `json:"with,omitempty" doc:"Id of who has the userName, or gets it."`
	Detail string `json:"detail,omitempty"`
	Remedy string `json:"remedy,omitempty"`
}

type versionInput struct {
	Name    string `path:"name" pattern:"^[a-z0-9-]{1,40}$"`
	Version int64  `path:"version" minimum:"0" maximum:"9007199254740991"`
}

// settingsInput is a document with the version that it is to follow.
type settingsInput struct {
	Name    string   `path:"name" pattern:"^[a-z0-9-]{1,40}$"`
	IfMatch string   `header:"If-Match" maxLength:"64" doc:"The ETag of the version that must still be in force; without it, or with *, any."`
	Comment string   `query:"comment" minLength:"1" maxLength:"256" pattern:"^[^\\x00]+$" doc:"Why, for those who read the history."`
	Allow   int      `query:"allow" minimum:"0" maximum:"10000000" doc:"How many may leave because of it where that is more than the tolerance lets go."`
	Body    document `required:"true"`
}

type planInput struct {
	Name string   `path:"name" pattern:"^[a-z0-9-]{1,40}$"`
	Body document `required:"true"`
}

type rollbackInput struct {
	Name    string `path:"name" pattern:"^[a-z0-9-]{1,40}$"`
	IfMatch string `header:"If-Match" maxLength:"64" doc:"The ETag of the version that must still be in force; without it, or with *, any."`
	Body    Rollback
}

// Rollback names the version to go back to.
type Rollback struct {
	To      integer `json:"to" minimum:"0" maximum:"9007199254740991"`
	Comment string  `json:"comment,omitempty" maxLength:"256" pattern:"^[^\\x00]*$"`
}

type settingsOutput struct {
	ETag string `header:"ETag" doc:"Of the version, for If-Match."`
	Body SettingsVersion
}

const (
	settingsTag = "settings"
	planned     = 100              // accounts that a plan shows
	planTime    = 20 * time.Second // that a plan looks for them
)

func (a *api) settingsOperations() {
	const path = "/connections/{name}/settings"
	missing := []int{http.StatusNotFound}
	changing := []int{http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed}
	register(a, operation{id: "getSettings", method: http.MethodGet, path: path, tag: settingsTag, roles: people, errors: missing, summary: "Get the settings in force of a connection"},
		func(c *call, in *connectionInput) (*settingsOutput, error) {
			return settingsAnswer(c.Service.Settings(c.context(), c.tenant(), in.Name))
		})
	register(a, operation{id: "applySettings", method: http.MethodPut, path: path, tag: settingsTag, roles: operators, errors: changing, maxBody: settings.MaxSize + 1,
		summary:     "Put a settings document in force, as the next version",
		description: "It decides from the next request on, within a second on every server. Settings that equal those in force make no version. `errors` of 422 names each key at fault with a remedy."},
		(*call).applySettings)
	register(a, operation{id: "planSettings", method: http.MethodPost, path: path + "/plan", tag: settingsTag, roles: operators, errors: missing, maxBody: settings.MaxSize + 1, success: http.StatusOK,
		summary: "Show what a settings document would change", description: "Nothing is changed."}, (*call).planSettings)
	register(a, operation{id: "testMapping", method: http.MethodPost, path: "/connections/{name}/mapping-test", tag: settingsTag, roles: operators, errors: missing, maxBody: settings.MaxSize + 1, success: http.StatusOK,
		summary: "Run the mapping of a settings document over the users that a connection has", description: "Nothing is changed. It is what the server does once the document is put in force."}, (*call).testMapping)
	register(a, operation{id: "rollbackSettings", method: http.MethodPost, path: path + "/rollback", tag: settingsTag, roles: operators, errors: changing, success: http.StatusOK,
		summary: "Put an earlier version in force again, as the next one", description: "What the versions in between did stays done."}, (*call).rollbackSettings)
	register(a, operation{id: "listSettingsVersions", method: http.MethodGet, path: path + "/versions", tag: settingsTag, roles: people, errors: missing,
		summary: "List the versions of a connection's settings", description: "Latest first, down to 0."},
		func(c *call, in *connectionInput) (*all[SettingsHead], error) {
			versions, err := c.Service.SettingsHistory(c.context(), c.tenant(), in.Name)
			return whole(versions, settingsHead), err
		})
	register(a, operation{id: "getSettingsVersion", method: http.MethodGet, path: path + "/versions/{version}", tag: settingsTag, roles: people, errors: missing, summary: "Get one version of a connection's settings"},
		func(c *call, in *versionInput) (*settingsOutput, error) {
			return settingsAnswer(c.Service.SettingsVersion(c.context(), c.tenant(), in.Name, in.Version))
		})
}

func settingsHead(v provisioning.SettingsVersion) SettingsHead {
	return SettingsHead{v.Version, v.At, v.Actor, v.Comment, string(v.Settings.Preset)}
}

func settingsAnswer(v provisioning.SettingsVersion, err error) (*settingsOutput, error) {
	if err != nil {
		return nil, err
	}
	return &settingsOutput{`"` + strconv.FormatInt(v.Version, 10) + `"`, SettingsVersion{settingsHead(v), settings.FormatJSON(v.Settings)}}, nil
}

func (c *call) applySettings(in *settingsInput) (*settingsOutput, error) {
	next, err := parseSettings(in.Body)
	if err != nil {
		return nil, err
	}
	v, _, err := c.Service.ApplySettings(c.context(), c.origin(), in.Name,
		provisioning.SettingsDraft{Settings: next, Source: string(in.Body), Comment: in.Comment, Expect: expected(in.IfMatch), Allow: in.Allow})
	return settingsAnswer(v, overtaken(err))
}

func (c *call) rollbackSettings(in *rollbackInput) (*settingsOutput, error) {
	v, _, err := c.Service.RollbackSettings(c.context(), c.origin(), in.Name, int64(in.Body.To), in.Body.Comment, expected(in.IfMatch))
	return settingsAnswer(v, overtaken(err))
}

func (c *call) planSettings(in *planInput) (*single[SettingsPlan], error) {
	next, err := parseSettings(in.Body)
	if err != nil {
		return nil, err
	}
	if err := c.Service.CanServe(next); err != nil {
		return nil, err
	}
	before, err := c.Service.Settings(c.context(), c.tenant(), in.Name)
	if err != nil {
		return nil, err
	}
	p := SettingsPlan{Version: before.Version, Keys: []SettingChange{}, Accounts: []PlannedChange{}}
	for _, d := range before.Settings.Diff(next) {
		p.Keys = append(p.Keys, SettingChange{d.Path, d.Old, d.New})
	}
	ctx, stop := context.WithTimeout(c.context(), planTime)
	defer stop()
	errEnough := errors.New("enough")
	err = c.Service.PlanSettings(ctx, c.tenant(), in.Name, next, func(a provisioning.AccountChange) error {
		if len(p.Accounts) == planned {
			return errEnough
		}
		p.Accounts = append(p.Accounts, plannedChange(a))
		return nil
	})
	if errors.Is(err, errEnough) || err != nil && ctx.Err() != nil && c.context().Err() == nil {
		p.More, err = true, nil
	}
	if err == nil && provisioning.DecidesAnew(before.Settings.Diff(next)) {
		var verdicts []provisioning.Verdict
		verdicts, err = c.Service.WeighSettings(c.context(), c.tenant(), in.Name, next)
		p.Stopped = provisioning.Stops(verdicts)
	}
	return &single[SettingsPlan]{p}, err
}

func (c *call) testMapping(in *planInput) (*single[MappingTest], error) {
	draft, err := parseSettings(in.Body)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithTimeout(c.context(), planTime)
	defer stop()
	out := MappingTest{Rows: []MappingRow{}, First: []MappingUser{}}
	trial, err := c.Service.TryMapping(ctx, c.tenant(), in.Name, draft, func(u provisioning.MappedUser) error {
		if len(out.First) == planned {
			return ctx.Err()
		}
		user := MappingUser{u.ID, u.Name, make([]MappingFinding, len(u.Findings))}
		for i, f := range u.Findings {
			user.Findings[i] = MappingFinding{f.Target, string(f.Kind), f.Old, f.New, f.With, f.Detail, f.Remedy}
		}
		out.First = append(out.First, user)
		return nil
	})
	if err != nil && ctx.Err() != nil && c.context().Err() == nil {
		out.Partial, err = true, nil
	}
	out.Users, out.Changed, out.Refused = trial.Users, trial.Changed, trial.Refused
	for _, r := range trial.Rows {
		out.Rows = append(out.Rows, MappingRow(r))
	}
	return &single[MappingTest]{out}, err
}

func plannedChange(a provisioning.AccountChange) PlannedChange {
	out := PlannedChange{ID: a.Resource.ID, Type: string(a.Resource.Type), State: string(a.Resource.State)}
	if a.Err != nil {
		out.Error = translate(a.Err).Detail
		return out
	}
	last := a.Decision.Changes[len(a.Decision.Changes)-1]
	out.Then, out.Action = string(last.After.State), string(last.Action)
	return out
}

// parseSettings reads a document; each problem of it becomes a fault of the answer, without the value at fault.
func parseSettings(source document) (provisioning.Settings, error) {
	s, err := settings.Parse(source)
	var problems settings.Problems
	if !errors.As(err, &problems) {
		return s, err
	}
	p := newProblem(http.StatusUnprocessableEntity, codes[provisioning.Invalid], "the settings cannot be put in force; errors names what to mend")
	for _, one := range problems {
		p.Errors = append(p.Errors, Fault{Location: location(strings.TrimSuffix("body."+one.Key, ".")), Message: one.What + "; " + one.Remedy})
	}
	return s, p
}

// noVersion is one that no settings have.
const noVersion = -2

// expected is the version that If-Match demands; a tag that is none of ours is no version's.
func expected(tag string) int64 {
	if tag == "" || tag == "*" {
		return provisioning.AnyVersion
	}
	n, err := strconv.ParseInt(strings.Trim(strings.TrimPrefix(tag, "W/"), `"`), 10, 64)
	if err != nil || n < 0 {
		return noVersion
	}
	return n
}

// overtaken makes 412 of what If-Match did not allow.
func overtaken(err error) error {
	if own, ok := errors.AsType[*provisioning.Error](err); ok && own.Kind == provisioning.Conflict && own.Attribute == "version" {
		return &provisioning.Error{Kind: provisioning.Precondition, Attribute: own.Attribute, Err: err,
			Detail: "another version of the settings is in force than If-Match names; read them again, then repeat the request with their ETag"}
	}
	return err
}
