package provisioning

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// AnyVersion expects no version in particular to be in force.
const AnyVersion = -1

// SettingsDraft are settings about to be put in force.
type SettingsDraft struct {
	Settings Settings
	Source   string // the document as it was written; "" for one that nobody wrote
	Comment  string // why, for people; at most 1,024 bytes
	Expect   int64  // the version that must still be in force, or AnyVersion
	Allow    int    // how many may leave because of it where that is more than the tolerance lets go
}

// Settings reads the settings in force of a connection; an empty name means the only one there is. Version 0, which
// nobody made, has no actor. NotFound.
func (s *Service) Settings(ctx context.Context, tenant, connection string) (SettingsVersion, error) {
	return View(ctx, s.store, tenant, func(r Reader) (SettingsVersion, error) {
		c, err := connectionOf(r, tenant, connection)
		if err != nil {
			return SettingsVersion{}, err
		}
		return settingsInForce(r, c)
	})
}

// SettingsVersion reads one version of a connection's settings, in force or not. NotFound.
func (s *Service) SettingsVersion(ctx context.Context, tenant, connection string, version int64) (SettingsVersion, error) {
	return View(ctx, s.store, tenant, func(r Reader) (SettingsVersion, error) {
		c, err := connectionOf(r, tenant, connection)
		if err != nil {
			return SettingsVersion{}, err
		}
		return settingsOf(r, c, version)
	})
}

// SettingsHistory reads all versions of a connection's settings, latest first, version 0 last. NotFound.
func (s *Service) SettingsHistory(ctx context.Context, tenant, connection string) ([]SettingsVersion, error) {
	return View(ctx, s.store, tenant, func(r Reader) ([]SettingsVersion, error) {
		c, err := connectionOf(r, tenant, connection)
		if err != nil {
			return nil, err
		}
		all, err := r.SettingsHistory(c.ID)
		return append(all, firstSettings(c)), err
	})
}

// ApplySettings puts settings in force as the next version of a connection's, from the next request or run on. It
// returns the version in force then, and whether it is new: settings that equal those in force make none. Invalid for settings with problems, NotFound, Conflict "version" where
// another version than the expected one is in force, Forbidden where a second person has to ask for the same, Conflict "allow" where more would leave at once than the tolerance and
// Allow let go, and Conflict "displayName" where names of groups shall become
// unique and are not.
func (s *Service) ApplySettings(ctx context.Context, o Origin, connection string, d SettingsDraft) (v SettingsVersion, isNew bool, err error) {
	if err := d.check(); err != nil {
		return SettingsVersion{}, false, err
	}
	if err := s.CanServe(d.Settings); err != nil {
		return SettingsVersion{}, false, err
	}
	stopped, err := s.weigh(ctx, o, connection, d)
	if err != nil {
		return SettingsVersion{}, false, err
	}
	return s.changeSettings(ctx, o, connection, ReasonSettingsApplied, stopped, func(_ Reader, _ Connection, before SettingsVersion) (SettingsDraft, error) {
		return d, expected(before, d.Expect)
	})
}

// RollbackSettings puts an earlier version in force again, as the next one. expect, results and errors are those
// of ApplySettings; NotFound also for the version. Who wants more to leave than the tolerance lets go applies its document.
func (s *Service) RollbackSettings(ctx context.Context, o Origin, connection string, to int64, comment string, expect int64) (v SettingsVersion, isNew bool, err error) {
	v, err = s.SettingsVersion(ctx, o.Tenant, connection, to)
	if err == nil {
		err = s.CanServe(v.Settings)
	}
	if err != nil {
		return SettingsVersion{}, false, err
	}
	if _, err := s.weigh(ctx, o, connection, SettingsDraft{Settings: v.Settings, Expect: expect}); err != nil {
		return SettingsVersion{}, false, err
	}
	return s.changeSettings(ctx, o, connection, ReasonSettingsApplied, nil, func(r Reader, c Connection, before SettingsVersion) (SettingsDraft, error) {
		if err := expected(before, expect); err != nil {
			return SettingsDraft{}, err
		}
		earlier, err := settingsOf(r, c, to)
		if err != nil {
			return SettingsDraft{}, err
		}
		d := SettingsDraft{Settings: earlier.Settings, Source: earlier.Source,
			Comment: cmp.Or(comment, fmt.Sprintf("back to version %d", to))}
		return d, d.check()
	})
}

// changeSettings puts in force what draft makes of the settings that are, and lets go what stopped names; draft may run
// several times.
func (s *Service) changeSettings(ctx context.Context, o Origin, connection, reason string, stopped []Verdict,
	draft func(Reader, Connection, SettingsVersion) (SettingsDraft, error)) (after SettingsVersion, isNew bool, err error) {
	now, jobID := s.Now(), s.newID()
	var owner Connection
	var refusal *Error
	err = s.administer(ctx, o, func(tx Tx) ([]step, error) {
		refusal = nil
		c, err := connectionOf(tx, o.Tenant, connection)
		if err != nil {
			return nil, err
		}
		owner = c
		before, err := settingsInForce(tx, c)
		if err != nil {
			return nil, err
		}
		d, err := draft(tx, c, before)
		if err != nil {
			return nil, err
		}
		st := step{reason: reason, connection: c, diff: before.Settings.Diff(d.Settings)}
		if after, isNew = before, len(st.diff) > 0; isNew {
			after = SettingsVersion{Connection: c.ID, Version: before.Version + 1, At: now, Actor: o.Actor,
				Comment: d.Comment, Settings: d.Settings, Source: d.Source}
			st.change.SaveSettings = &after
			st.args = map[string]string{"version": strconv.FormatInt(after.Version, 10)}
			if p, two := settingsProposal(c, before, d, st.diff, stopped); two {
				if st.matter, _, refusal, err = s.second(tx, o, p); err != nil {
					return nil, err
				}
				if refusal != nil {
					return []step{proposalStep(p, st.matter)}, nil
				}
			}
			if DecidesAnew(st.diff) {
				st.job = rulesJob(jobID, o.Actor, c, now)
				st.args["job"] = jobID
			}
		}
		let, err := allowed(tx, o, c, stopped, now)
		return append(let, st), err
	})
	if e, ok := err.(*Error); KindOf(err) == Conflict && !(ok && e.Attribute == "version") {
		err = &Error{Kind: Conflict, Attribute: "displayName", Err: err,
			Detail: fmt.Sprintf("groups of connection %q share a displayName; rename or delete them, then make names unique", owner.Name)}
	}
	if err == nil && refusal != nil {
		return SettingsVersion{}, false, refusal
	}
	return after, isNew && err == nil, err
}

// DecidesAnew reports whether a change of settings counts for those who are there already, so that a job decides on them
// anew: where scope, mapping or roles differ. Anything else counts for what is asserted from then on.
func DecidesAnew(diff []AttributeChange) bool {
	return slices.ContainsFunc(diff, func(c AttributeChange) bool {
		section, _, _ := strings.Cut(c.Path, ".")
		// The first verified domain is one that expressions may name.
		return section == "scope" || section == "mapping" || section == "roles" || c.Path == "matching.verifiedDomains"
	})
}

// rulesSettle is longer than any server goes by the version before, so that the job comes after the last who did.
const rulesSettle = 2 * time.Second

// rulesJob decides anew on all that a connection asserts. It begins as if another server had it, for as long as the
// version before may count.
func rulesJob(id, actor string, c Connection, now time.Time) *Job {
	params, _ := json.Marshal(recomputed{Connection: c.ID}) // a number always marshals
	return &Job{ID: id, Kind: JobRecompute, Connection: c.ID, Actor: actor, Params: params,
		State: JobRunning, LeaseUntil: now.Add(rulesSettle), Created: now, Changed: now}
}

// check refuses settings that cannot be put in force.
func (d SettingsDraft) check() error {
	problems := d.Settings.Problems()
	if len(d.Comment) > maxComment || !storable(d.Comment) {
		problems = append(problems, SettingsProblem{Key: "comment", What: "is too long or no text", Remedy: fmt.Sprintf("write at most %d bytes", maxComment)})
	}
	if d.Comment != "" && !isVisible(d.Comment) {
		problems = append(problems, SettingsProblem{Key: "comment", What: "shows nothing", Remedy: "write why, or leave it out"})
	}
	if len(problems) == 0 {
		return nil
	}
	lines := make([]string, len(problems))
	for i, p := range problems {
		lines[i] = p.String()
	}
	return &Error{Kind: Invalid, Attribute: problems[0].Key, Detail: strings.Join(lines, "\n")}
}

func expected(before SettingsVersion, version int64) error {
	if version == AnyVersion || version == before.Version {
		return nil
	}
	return &Error{Kind: Conflict, Attribute: "version",
		Detail: fmt.Sprintf("version %d of the settings is in force, not %d; read what changed and apply again", before.Version, version)}
}

// settingsInForce reads the settings that a connection is served by.
func settingsInForce(r Reader, c Connection) (SettingsVersion, error) {
	return settingsOf(r, c, c.SettingsVersion)
}

func settingsOf(r Reader, c Connection, version int64) (SettingsVersion, error) {
	if version == 0 {
		return firstSettings(c), nil
	}
	v, err := r.Settings(c.ID, version)
	if KindOf(err) == NotFound {
		err = &Error{Kind: NotFound, Attribute: "version", Err: err,
			Detail: fmt.Sprintf("the settings of connection %q have no version %d; list their history to see which there are", c.Name, version)}
	}
	return v, err
}

// firstSettings are those that a connection starts with. As long as they are in force, the connection itself says how
// its client is answered.
func firstSettings(c Connection) SettingsVersion {
	v := SettingsVersion{Connection: c.ID, At: c.Created, Settings: DefaultSettings()}
	if c.SettingsVersion == 0 {
		v.Settings.Protocol = c.Settings
	}
	return v
}
