package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"meibo/provisioning"
	"meibo/scim"
)

// Directory is what an export reads; *provisioning.Service is one.
type Directory interface {
	Snapshot(ctx context.Context, tenant string, fn func(provisioning.Reader) error) error
	GuessesIn(r provisioning.Reader, x *provisioning.Resource) ([]string, error)
}

// ExportOptions say what is exported, and how.
type ExportOptions struct {
	Types    []scim.ResourceType // in the order of the file
	Format   Format
	Filter   string         // SCIM filter over what owners assert; "" for all
	Progress func(rows int) // hears how many rows are written; nil for nobody
}

// Check refuses a filter that cannot be read for each of the types: Invalid.
func (o ExportOptions) Check() error {
	_, err := o.filters()
	return err
}

func (o ExportOptions) filters() (map[scim.ResourceType]scim.Filter, error) {
	filters := map[scim.ResourceType]scim.Filter{}
	for _, t := range o.Types {
		if o.Filter == "" {
			continue
		}
		f, err := scim.ParseFilter(scim.Standard(t), o.Filter)
		if err != nil {
			detail := err.Error()
			if fault, ok := errors.AsType[*scim.Error](err); ok {
				detail = fault.Message()
			}
			return nil, &provisioning.Error{Kind: provisioning.Invalid, Type: string(scim.InvalidFilter), Err: err,
				Detail: fmt.Sprintf("the filter cannot be read for resources of type %s: %s", t, detail)}
		}
		filters[t] = f
	}
	return filters, nil
}

// page is how many resources are in memory at a time.
const page = 100

// Export writes a tenant's resources as they are at one instant: users and groups of every state, of every owner and of
// none, each type in the order of ids. What was purged is left out: nothing of it is left. It returns the number of rows.
// Errors are those of the directory and of w, and Invalid for the filter.
func Export(ctx context.Context, d Directory, tenant string, w io.Writer, o ExportOptions) (int, error) {
	filters, err := o.filters()
	if err != nil {
		return 0, err
	}
	out, err := NewWriter(w, o.Format, o.Types...)
	if err != nil {
		return 0, err
	}
	e := exporter{directory: d, out: out, filters: filters, progress: o.Progress}
	if e.progress == nil {
		e.progress = func(int) {}
	}
	err = d.Snapshot(ctx, tenant, func(r provisioning.Reader) error {
		if err := e.readConnections(r); err != nil {
			return err
		}
		for _, t := range o.Types {
			if err := e.each(ctx, r, t); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return e.rows, err
	}
	return e.rows, out.Close()
}

type exporter struct {
	directory   Directory
	out         Writer
	filters     map[scim.ResourceType]scim.Filter
	connections map[int64]string
	rows        int
	progress    func(int)
}

func (e *exporter) readConnections(r provisioning.Reader) error {
	all, err := r.Connections()
	e.connections = map[int64]string{}
	for _, c := range all {
		e.connections[c.ID] = c.Name
	}
	return err
}

// each writes all resources of a type. It reads them in pages, since a group's members cannot be read while rows are open.
func (e *exporter) each(ctx context.Context, r provisioning.Reader, t scim.ResourceType) error {
	after := ""
	for {
		resources := make([]provisioning.Resource, 0, page)
		err := r.Accounts(provisioning.AccountQuery{Type: t, Connection: -1, Removed: true, After: after, Limit: page},
			func(res provisioning.Resource) error {
				resources = append(resources, res)
				return nil
			})
		if err != nil {
			return err
		}
		for i := range resources {
			if err := e.one(r, &resources[i]); err != nil {
				return err
			}
			e.progress(e.rows)
		}
		if len(resources) < page {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		after = resources[len(resources)-1].ID
	}
}

func (e *exporter) one(r provisioning.Reader, res *provisioning.Resource) error {
	row, err := rowOf(res, e.connections[res.Connection])
	if err != nil || len(row.Attributes) == 0 {
		return err
	}
	if f := e.filters[res.Type]; f != nil && !scim.Match(f, shown(res, row.Attributes)) {
		return nil
	}
	if row.Guessed, err = e.directory.GuessesIn(r, res); err != nil {
		return err
	}
	if res.Type == scim.Group {
		if row.Members, err = membersOf(r, res); err != nil {
			return err
		}
	}
	e.rows++
	return e.out.Write(row)
}

// rowOf is the row of a stored resource, without the members of a group.
func rowOf(res *provisioning.Resource, connection string) (Row, error) {
	row := Row{Has: hasAll, Type: res.Type, ID: res.ID, Connection: connection, State: res.State, Visible: res.Visible,
		Protected: res.Protected, PurgeAt: res.PurgeAt}
	if res.State == provisioning.Suspended {
		row.LeftAt = res.LeftAt
	}
	if res.Type == scim.User {
		row.Role = res.RoleName()
	} else {
		row.Has &^= HasRole
	}
	if len(res.Asserted) == 0 {
		return row, nil
	}
	var err error
	if row.Attributes, err = scim.Standard(res.Type).Decode(res.Asserted); err != nil {
		return row, err
	}
	if len(res.Effective) > 0 {
		effective, err := scim.Standard(res.Type).Decode(res.Effective)
		if err != nil {
			return row, err
		}
		row.Effective = overlay(row.Attributes, effective)
	}
	if len(res.Overrides) > 0 {
		if row.Overrides, err = readObject(string(res.Overrides)); err != nil {
			return row, fmt.Errorf("stored overrides are damaged: %w", err)
		}
	}
	return row, nil
}

// membersOf are the members of a group by id: when somebody became one is no part of an export. Of a group that its
// client does not see, or that has none, only the host application's view is left.
func membersOf(r provisioning.Reader, group *provisioning.Resource) (members []provisioning.Membership, err error) {
	if group.Visible && group.Connection != 0 {
		x, err := r.Resource(provisioning.ResourceQuery{Scope: provisioning.Scope{Connection: group.Connection, Type: scim.Group}, ID: group.ID, AllMembers: true})
		if err != nil {
			return nil, err
		}
		members = x.OpenMembers
	} else {
		err = r.Memberships(group.ID, func(m provisioning.GroupMember) error {
			members = append(members, provisioning.Membership{Member: scim.Member{Value: m.Value, Display: m.Display}, Asserted: !m.Unlisted, Effective: true})
			return nil
		})
	}
	slices.SortFunc(members, func(a, b provisioning.Membership) int { return strings.Compare(a.Value, b.Value) })
	return members, err
}

// shown is a resource as a filter sees it.
func shown(res *provisioning.Resource, a scim.Attributes) scim.Attributes {
	out := scim.Attributes{"id": res.ID, "meta": map[string]any{"resourceType": string(res.Type),
		"created": res.Created.UTC().Format(time.RFC3339Nano), "lastModified": res.Modified.UTC().Format(time.RFC3339Nano)}}
	for name, v := range a {
		out[name] = v
	}
	return out
}
