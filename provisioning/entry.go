package provisioning

import (
	"errors"

	"meibo/scim"
)

// journalAction is the word of Entra's provisioning log for a change (semantics §2, §6).
func journalAction(c *Change, asked JournalAction) JournalAction {
	departs := c.Cause != "" && c.After.Type == scim.User && (c.Ignored || c.Action == ChangeHold || c.Warning.Code == ReasonKept)
	switch {
	case c.Action == ChangeCreate, c.Action == ChangeLink:
		return ActionCreate
	case c.Cause == CauseDeleted && c.Action != ChangeSkip, c.Reason.Code == ReasonPurged:
		return ActionDelete
	case c.Action == ChangeDelete, c.Action == ChangeHold && c.After.Type == scim.Group: // the client still sees it
		return ActionStagedDelete
	case c.Action == ChangeSuspend, departs && (c.Cause == CauseDeactivated || c.Cause == CauseScope):
		return ActionDisable
	case c.Action == ChangeSkip:
		return asked
	default:
		return ActionUpdate
	}
}

// originEntry fills what every entry owes to its origin.
func originEntry(o Origin) Entry {
	return Entry{Connection: o.Connection.ID, ConnectionName: o.Connection.Name, Actor: o.Actor, Correlation: o.Correlation}
}

// changeEntry is the entry of a change; its id, time and request are for the caller to add.
func changeEntry(o Origin, in Intent, c Change) Entry {
	e := originEntry(o)
	e.Action = journalAction(&c, in.Action)
	e.Outcome = Success
	e.SettingsVersion = c.RuleVersion
	e.ResourceID, e.ResourceType = c.After.ID, c.After.Type
	e.ResourceName = c.Name
	e.MatchedBy, e.Reason = c.MatchedBy, c.Reason
	if c.Action == ChangeSkip {
		e.Outcome = Skipped
	} else {
		e.Version, e.Diff, e.Members = c.After.Version, c.Diff, c.Members
	}
	switch {
	case c.Warning.Code != "":
		e.Outcome, e.Reason = Warning, c.Warning
	case c.Ignored && c.Action != ChangeLink: // the adoption itself was done
		e.Outcome = Skipped
	}
	return e
}

// failureEntry is the entry of a write that was not done. To delete what is not there is no
// failure: it is so already.
func failureEntry(o Origin, in Intent, err error) Entry {
	e := originEntry(o)
	e.Action, e.Outcome, e.SettingsVersion = in.Action, Failure, o.Connection.SettingsVersion
	e.ResourceID, e.ResourceType, e.ResourceName = in.ID, in.Type, in.Name
	e.Reason = Reason{Code: ReasonRefused}
	kind := KindOf(err)
	if kind == NotFound {
		e.Reason.Code = ReasonNotFound
		if in.Action == ActionDelete {
			e.Outcome = Skipped
		}
	}
	e.Error = &EntryError{Code: kind.String(), Detail: "internal error", RecommendedAction: recommendations[kind]}
	var own *Error
	if errors.As(err, &own) {
		if own.Staged {
			e.Action, e.Outcome = ActionStagedDelete, Skipped
		}
		if own.Reason.Code != "" {
			e.Reason = own.Reason
		}
		e.Error.Detail = own.Detail
		if own.Type != "" {
			e.Error.Code = own.Type
		}
	}
	return e
}
