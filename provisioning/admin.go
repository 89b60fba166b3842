package provisioning

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// DefaultConnection is the name of the connection that every tenant starts with.
const DefaultConnection = "default"

// Codes of the reasons of administrative entries; their arguments name tenant, connection or
// credential.
const (
	ReasonTenantCreated     = "tenantCreated"
	ReasonConnectionCreated = "connectionCreated"
	ReasonConnectionSet     = "connectionSet"
	ReasonDebug             = "connectionDebug"
	ReasonSettingsApplied   = "settingsApplied"
	ReasonCredentialCreated = "credentialCreated"
	ReasonCredentialRevoked = "credentialRevoked"
)

// NewCredential is a token about to be stored. Its text never gets here.
type NewCredential struct {
	Hash    []byte // SHA-256 of the token
	Hint    string // the token's last characters
	Expires time.Time
}

// CreateTenant creates the tenant that the origin names, with the connection DefaultConnection.
// Invalid for a name that is no slug, Conflict for one that is taken.
func (s *Service) CreateTenant(ctx context.Context, o Origin) (Tenant, error) {
	if err := checkSlug("tenant", o.Tenant); err != nil {
		return Tenant{}, err
	}
	tenant := Tenant{Name: o.Tenant, Created: s.Now()}
	first := Connection{Name: DefaultConnection, Kind: "scim", Settings: DefaultConnectionSettings(), Created: tenant.Created}
	err := s.administer(ctx, o, func(Tx) ([]step, error) {
		return []step{
			{change: AdminChange{CreateTenant: &tenant}, reason: ReasonTenantCreated, args: map[string]string{"tenant": tenant.Name}},
			connectionStep(first),
		}, nil
	})
	if KindOf(err) == Conflict {
		err = taken("tenant", o.Tenant, err)
	}
	return tenant, err
}

// Tenant reads a tenant. NotFound.
func (s *Service) Tenant(ctx context.Context, name string) (Tenant, error) {
	return View(ctx, s.store, name, func(r Reader) (Tenant, error) { return tenantOf(r, name) })
}

// CreateConnection adds a connection with default settings. Invalid for a name that is no slug,
// NotFound for the tenant, Conflict for a name that is taken.
func (s *Service) CreateConnection(ctx context.Context, o Origin, name string) (Connection, error) {
	if err := checkSlug("connection", name); err != nil {
		return Connection{}, err
	}
	c := Connection{Name: name, Kind: "scim", Settings: DefaultConnectionSettings(), Created: s.Now()}
	err := s.administer(ctx, o, func(tx Tx) ([]step, error) {
		_, err := tenantOf(tx, o.Tenant)
		return []step{connectionStep(c)}, err
	})
	if KindOf(err) == Conflict {
		err = taken("connection", name, err)
	}
	if err != nil {
		return Connection{}, err
	}
	return s.Connection(ctx, o.Tenant, name)
}

// Connections reads a tenant's connections by name. NotFound for the tenant.
func (s *Service) Connections(ctx context.Context, tenant string) ([]Connection, error) {
	return View(ctx, s.store, tenant, func(r Reader) ([]Connection, error) { return connectionsOf(r, tenant) })
}

// Connection reads one connection. An empty name means the only one there is: Invalid where there
// are several. NotFound.
func (s *Service) Connection(ctx context.Context, tenant, name string) (Connection, error) {
	return View(ctx, s.store, tenant, func(r Reader) (Connection, error) { return connectionOf(r, tenant, name) })
}

// SetConnection puts in force what edit makes of the way in which a connection's client is answered, as the next version
// of its settings; edit may run several times. Invalid for a value that is no choice, NotFound, and Conflict
// "displayName" where names of groups shall become unique and are not.
func (s *Service) SetConnection(ctx context.Context, o Origin, name string, edit func(*ConnectionSettings)) (Connection, error) {
	var after Connection
	v, _, err := s.changeSettings(ctx, o, name, ReasonConnectionSet, nil, func(_ Reader, c Connection, before SettingsVersion) (SettingsDraft, error) {
		after = c
		d := SettingsDraft{Settings: before.Settings}
		edit(&d.Settings.Protocol)
		return d, d.Settings.Protocol.check()
	})
	after.Settings, after.SettingsVersion = v.Settings.Protocol, v.Version
	return after, err
}

// CreateCredential stores a token of a connection; an empty connection means the only one there
// is. Invalid for an expiry that has passed, NotFound.
func (s *Service) CreateCredential(ctx context.Context, o Origin, connection string, n NewCredential) (Credential, error) {
	c := Credential{ID: s.newID(), Hash: n.Hash, Hint: n.Hint, Created: s.Now()}
	ends, err := expiry(n.Expires, c.Created)
	if err != nil {
		return Credential{}, err
	}
	c.Expires = ends
	err = s.administer(ctx, o, func(tx Tx) ([]step, error) {
		owner, err := connectionOf(tx, o.Tenant, connection)
		c.Connection = owner.ID
		return []step{{change: AdminChange{CreateCredential: &c}, reason: ReasonCredentialCreated, connection: owner,
			args: credentialArgs(c), diff: []AttributeChange{instant("expires", c.Expires)}}}, err
	})
	return c, err
}

// Credentials reads the tokens of a connection, oldest first, those that count no more included;
// an empty connection means the only one there is. NotFound.
func (s *Service) Credentials(ctx context.Context, tenant, connection string) ([]Credential, error) {
	return View(ctx, s.store, tenant, func(r Reader) ([]Credential, error) {
		owner, err := connectionOf(r, tenant, connection)
		if err != nil {
			return nil, err
		}
		return r.Credentials(owner.ID)
	})
}

// RevokeCredential ends a token for good; to revoke it again changes nothing. NotFound.
func (s *Service) RevokeCredential(ctx context.Context, o Origin, id string) (Credential, error) {
	now := s.Now()
	var c Credential
	err := s.administer(ctx, o, func(tx Tx) ([]step, error) {
		owner, found, err := credentialOf(tx, o.Tenant, id)
		if err != nil {
			return nil, err
		}
		c = found
		revoke := step{reason: ReasonCredentialRevoked, connection: owner, args: credentialArgs(c)}
		if c.Revoked.IsZero() {
			c.Revoked = now
			revoke.change.RevokeCredential = &c
			revoke.diff = []AttributeChange{instant("revoked", now)}
		}
		return []step{revoke}, nil
	})
	return c, err
}

// step is one administrative change with what its entry says of it. A zero change is one that was
// asked for and is so already.
type step struct {
	change     AdminChange
	reason     string
	outcome    Outcome // "" for Success
	args       map[string]string
	connection Connection // zero where the store has yet to give it an id
	diff       []AttributeChange
	matter     *MatterChange
	budget     *Budget
	job        *Job
}

// isEmpty reports whether a step changes nothing.
func (st step) isEmpty() bool {
	return st.change == (AdminChange{}) && st.matter == nil && st.budget == nil && st.job == nil
}

func connectionStep(c Connection) step {
	return step{change: AdminChange{CreateConnection: &c}, reason: ReasonConnectionCreated,
		args: map[string]string{"connection": c.Name}, diff: []AttributeChange{
			{Path: "protocol.patchResponse", New: string(c.Settings.PatchResponse)},
			{Path: "protocol.unknownMembers", New: string(c.Settings.UnknownMembers)},
			{Path: "protocol.uniqueGroupNames", New: c.Settings.UniqueGroupNames}}}
}

// administer commits what plan decides, each step with its entry. plan may run several times.
func (s *Service) administer(ctx context.Context, o Origin, plan func(Tx) ([]step, error)) error {
	stamps := s.stamps()
	entries, err := Update(ctx, s.store, o.Tenant, func(tx Tx) ([]Entry, error) {
		steps, err := plan(tx)
		if err != nil {
			return nil, err
		}
		var b Batch
		for i, st := range steps {
			e := st.entry(o)
			stamps.put(&e, i)
			b.Entries = append(b.Entries, e)
			if st.change != (AdminChange{}) {
				b.Admin = append(b.Admin, st.change)
			}
			if st.matter != nil {
				b.Matters = append(b.Matters, st.matter.stamped(o, stamps, len(steps)+i, e.ID))
			}
			if st.budget != nil {
				b.Budgets = append(b.Budgets, *st.budget)
			}
			if st.job != nil {
				b.Jobs = append(b.Jobs, JobChange{Create: st.job})
			}
		}
		return b.Entries, tx.Commit(b)
	})
	if err == nil {
		s.decided(o.Tenant, entries...)
	}
	return err
}

func (st step) entry(o Origin) Entry {
	e := originEntry(o)
	e.Connection, e.ConnectionName = st.connection.ID, st.connection.Name
	e.Action, e.Outcome = ActionOther, cmp.Or(st.outcome, Success)
	e.Reason = Reason{Code: st.reason, Args: st.args}
	if st.isEmpty() {
		e.Outcome, e.Reason.Code = Skipped, ReasonUnchanged
	}
	e.Diff = slices.DeleteFunc(slices.Clone(st.diff), func(c AttributeChange) bool { return c.Old == nil && c.New == nil })
	return e
}

func tenantOf(r Reader, name string) (Tenant, error) {
	t, err := r.Tenant()
	if KindOf(err) == NotFound {
		return t, &Error{Kind: NotFound, Detail: fmt.Sprintf("tenant %q does not exist; create it first", name), Err: err}
	}
	return t, err
}

func connectionsOf(r Reader, tenant string) ([]Connection, error) {
	if _, err := tenantOf(r, tenant); err != nil {
		return nil, err
	}
	return r.Connections()
}

func connectionOf(r Reader, tenant, name string) (Connection, error) {
	all, err := connectionsOf(r, tenant)
	if err != nil {
		return Connection{}, err
	}
	if name == "" && len(all) == 1 {
		return all[0], nil
	}
	names := make([]string, len(all))
	for i, c := range all {
		if c.Name == name {
			return c, nil
		}
		names[i] = c.Name
	}
	have := cmp.Or(strings.Join(names, ", "), "none")
	if name == "" {
		return Connection{}, &Error{Kind: Invalid, Attribute: "connection",
			Detail: fmt.Sprintf("tenant %q has several connections; name one of: %s", tenant, have)}
	}
	return Connection{}, &Error{Kind: NotFound, Attribute: "connection",
		Detail: fmt.Sprintf("connection %q does not exist in tenant %q; it has: %s", name, tenant, have)}
}

func credentialOf(r Reader, tenant, id string) (Connection, Credential, error) {
	all, err := connectionsOf(r, tenant)
	if err != nil {
		return Connection{}, Credential{}, err
	}
	for _, owner := range all {
		credentials, err := r.Credentials(owner.ID)
		if err != nil {
			return Connection{}, Credential{}, err
		}
		if i := slices.IndexFunc(credentials, func(c Credential) bool { return c.ID == id }); i >= 0 {
			return owner, credentials[i], nil
		}
	}
	return Connection{}, Credential{}, &Error{Kind: NotFound, Attribute: "id",
		Detail: fmt.Sprintf("tenant %q has no token with the id %q; list the tokens to see their ids", tenant, id)}
}

// check refuses what is no choice.
func (c ConnectionSettings) check() error {
	if err := checkChoice("patchResponse", c.PatchResponse, PatchDefault, PatchResource, PatchNone); err != nil {
		return err
	}
	return checkChoice("unknownMembers", c.UnknownMembers, RefuseUnknownMembers, KeepUnknownMembers)
}

func checkChoice[T ~string](setting string, value T, choices ...T) error {
	if slices.Contains(choices, value) {
		return nil
	}
	return &Error{Kind: Invalid, Attribute: setting, Detail: fmt.Sprintf("%s cannot be %q; choose one of %q", setting, string(value), choices)}
}

func unlessZero(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// instant is the assignment of a time; both sides nil for none.
func instant(path string, at time.Time) AttributeChange {
	if at.IsZero() {
		return AttributeChange{Path: path}
	}
	return AttributeChange{Path: path, New: at.Format(time.RFC3339Nano)}
}

func credentialArgs(c Credential) map[string]string {
	return map[string]string{"credential": c.ID, "hint": c.Hint}
}

var slug = regexp.MustCompile(`^[a-z0-9-]{1,40}$`)

func checkSlug(what, name string) error {
	if slug.MatchString(name) {
		return nil
	}
	return &Error{Kind: Invalid, Attribute: "name",
		Detail: fmt.Sprintf("%q cannot name a %s; use 1 to 40 small letters, digits and hyphens", name, what)}
}

func taken(what, name string, cause error) error {
	return &Error{Kind: Conflict, Attribute: "name", Err: cause, Detail: fmt.Sprintf("%s %q exists already; choose another name", what, name)}
}
