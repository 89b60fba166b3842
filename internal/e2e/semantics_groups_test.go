package e2e

import (
	"net/http"
	"slices"
	"strings"

	"meibo/provisioning"
	"meibo/scim"
)

func groupPolicy(deleted provisioning.DeletionPolicy) func(*provisioning.Settings) {
	return func(s *provisioning.Settings) { s.Deletion.Groups.Deleted = deleted }
}

var groupRows = []row{
	{says: "displayName unique per connection, caseless", play: func(s *stage) {
		s.team("Staff")
		body := object{"schemas": []string{scim.GroupSchema}, "displayName": "STAFF"}
		s.do(http.MethodPost, "/Groups", body)
		s.refused(http.StatusConflict, "uniqueness")
		s.entry(provisioning.ActionCreate, provisioning.Failure, "")
		s.team("Crew")
		s.set("Crew", object{"displayName": "staff"})
		s.refused(http.StatusConflict, "uniqueness")
		s.shows("Crew", object{"displayName": "Crew"})
		s.set("Staff", object{"displayName": "STAFF"}) // itself in another case
		if s.last.status >= 300 {
			s.t.Errorf("answered %d: %s", s.last.status, s.last.body)
		}
		hr := s.beside("hr", nil)
		hr.team("Staff") // another connection's names are its own
	}},
	{says: "displayName unique, unless the setting says otherwise", settings: func(s *provisioning.Settings) { s.Protocol.UniqueGroupNames = false }, play: func(s *stage) {
		s.team("Staff")
		first := s.ids["Staff"]
		s.team("Staff")
		if got := s.found("Groups", "displayName", "staff"); len(got) != 2 || !slices.Contains(got, first) {
			s.t.Errorf("the filter finds %v", got)
		}
	}},
	{says: "\"\" or null on a required one 400: a group has a displayName (RFC 7643 §4.2)", play: func(s *stage) {
		s.team("Staff")
		for _, empty := range []any{nil, "", "  "} {
			body := object{"schemas": []string{scim.GroupSchema}, "displayName": empty}
			s.do(http.MethodPost, "/Groups", body)
			s.refused(http.StatusBadRequest, "invalidValue")
			s.do(http.MethodPut, s.path("Staff"), body)
			s.refused(http.StatusBadRequest, "invalidValue")
			s.operate("Staff", object{"op": s.op("replace"), "path": "displayName", "value": empty})
			s.want(http.StatusBadRequest)
		}
		s.do(http.MethodPut, s.path("Staff"), object{"schemas": []string{scim.GroupSchema}})
		s.refused(http.StatusBadRequest, "invalidValue")
		s.operate("Staff", object{"op": s.op("remove"), "path": "displayName"})
		s.refused(http.StatusBadRequest, "mutability")
		s.shows("Staff", object{"displayName": "Staff"})
	}},
	{says: "member ids: own visible users and groups", play: func(s *stage) {
		s.users("ada")
		s.team("inner")
		s.team("outer", "ada", "inner")
		s.members("outer", "ada", "inner")
	}},
	{says: "a member id that was issued and is gone is skipped with a warning", play: func(s *stage) {
		s.users("ada", "bob")
		s.team("staff")
		s.remove("ada")
		s.join("staff", "ada", "bob")
		if s.last.status >= 300 {
			s.t.Fatalf("answered %d: %s", s.last.status, s.last.body)
		}
		s.entry(provisioning.ActionUpdate, provisioning.Warning, provisioning.ReasonMemberGone)
		s.members("staff", "bob")
	}},
	{says: "a member id never issued is 400 naming it", play: func(s *stage) {
		s.users("ada")
		s.team("staff", "ada")
		hr := s.beside("hr", nil)
		hr.users("hidden")
		for _, id := range []string{"never-issued", hr.ids["hidden"]} {
			s.join("staff", id)
			s.refused(http.StatusBadRequest, "invalidValue")
			if !strings.Contains(s.last.body, id) {
				s.t.Errorf("the detail does not name %s: %s", id, s.last.body)
			}
			s.entry(provisioning.ActionUpdate, provisioning.Failure, "")
		}
		s.members("staff", "ada")
	}},
	{says: "a member id never issued is accepted and kept, where the setting says so",
		settings: func(s *provisioning.Settings) { s.Protocol.UnknownMembers = provisioning.KeepUnknownMembers }, play: func(s *stage) {
			s.team("staff")
			s.join("staff", "never-issued")
			if s.last.status >= 300 {
				s.t.Fatalf("answered %d: %s", s.last.status, s.last.body)
			}
			s.members("staff", "never-issued")
		}},
	{says: "unknown manager ids are kept", play: func(s *stage) {
		s.post("ada", object{scim.EnterpriseUserSchema: object{"manager": object{"value": "never-issued"}}})
		s.want(http.StatusCreated)
		res := s.get(s.path("ada"))
		extension, _ := res[scim.EnterpriseUserSchema].(map[string]any)
		manager, _ := extension["manager"].(map[string]any)
		if manager["value"] != "never-issued" {
			s.t.Errorf("the manager is %v", extension)
		}
	}},
	{says: "adding a present member or removing an absent one succeeds and changes nothing", play: func(s *stage) {
		s.users("ada", "bob")
		s.team("staff", "ada")
		version := s.version("staff")
		s.join("staff", "ada")
		if s.last.status >= 300 {
			s.t.Fatalf("answered %d: %s", s.last.status, s.last.body)
		}
		s.entry(provisioning.ActionUpdate, provisioning.Skipped, provisioning.ReasonUnchanged)
		s.leave("staff", "bob")
		if s.last.status >= 300 {
			s.t.Fatalf("answered %d: %s", s.last.status, s.last.body)
		}
		s.entry(provisioning.ActionUpdate, provisioning.Skipped, provisioning.ReasonUnchanged)
		if got := s.version("staff"); got != version {
			s.t.Errorf("the version is %v, want %v still", got, version)
		}
		s.members("staff", "ada")
	}},
	{says: "membership changes bump the group's version, never the user's", play: func(s *stage) {
		s.users("ada")
		s.team("staff")
		ofGroup, ofUser := s.version("staff"), s.version("ada")
		s.join("staff", "ada")
		if got := s.version("staff"); got == ofGroup {
			s.t.Errorf("the group's version is %v still", got)
		}
		if got := s.version("ada"); got != ofUser {
			s.t.Errorf("the user's version is %v, want %v still", got, ofUser)
		}
	}},
	{says: "deleting a group; delete", settings: groupPolicy(provisioning.DeletePolicy), play: func(s *stage) {
		s.users("ada")
		s.team("staff", "ada")
		s.remove("staff")
		s.want(http.StatusNoContent)
		s.entry(provisioning.ActionDelete, provisioning.Success, string(provisioning.Removed))
		s.hides("staff")
		x := s.host("staff", provisioning.Removed)
		if x.PurgeAt.IsZero() {
			s.t.Error("no grace time")
		}
		if got := s.inHostGroup("staff"); !slices.Equal(got, []string{"ada"}) {
			s.t.Errorf("the tombstone's member rows are %v", got)
		}
		if res := s.shows("ada", nil); res["groups"] != nil {
			s.t.Errorf("the user is shown the groups %v", res["groups"])
		}
		old := s.ids["staff"]
		s.team("staff") // of the same name: a new one that inherits nobody
		if s.ids["staff"] == old {
			s.t.Error("the tombstone came back")
		}
		s.members("staff")
	}},
	{says: "deleting a group; remove members only", settings: groupPolicy(provisioning.RemoveMembersPolicy), play: func(s *stage) {
		s.users("ada")
		s.team("staff", "ada")
		s.remove("staff")
		s.want(http.StatusNoContent)
		s.entry(provisioning.ActionDelete, provisioning.Success, "")
		s.hides("staff")
		s.host("staff", provisioning.Active)
		if got := s.inHostGroup("staff"); len(got) != 0 {
			s.t.Errorf("the group still has %v", got)
		}
	}},
	{says: "deleting a group; hold", settings: groupPolicy(provisioning.HoldPolicy), play: func(s *stage) {
		s.users("ada")
		s.team("staff", "ada")
		s.remove("staff")
		s.want(http.StatusNoContent)
		s.entry(provisioning.ActionDelete, provisioning.Warning, "")
		s.hides("staff")
		s.host("staff", provisioning.Held)
		if got := s.inHostGroup("staff"); !slices.Equal(got, []string{"ada"}) {
			s.t.Errorf("the host application sees %v", got)
		}
		s.open(provisioning.MatterHeld, "staff")
	}},
	{says: "deleting a group; ignore", settings: groupPolicy(provisioning.IgnorePolicy), play: func(s *stage) {
		s.users("ada")
		s.team("staff", "ada")
		s.remove("staff")
		s.want(http.StatusNoContent)
		s.entry(provisioning.ActionDelete, provisioning.Skipped, "")
		s.hides("staff")
		if x := s.host("staff", provisioning.Active); x.Connection != 0 {
			s.t.Errorf("the owner is %d", x.Connection)
		}
		if got := s.inHostGroup("staff"); !slices.Equal(got, []string{"ada"}) {
			s.t.Errorf("the host application sees %v", got)
		}
	}},
}

// version is what the client reads as meta.version.
func (s *stage) version(name string) any {
	s.t.Helper()
	meta, _ := s.get(s.path(name))["meta"].(map[string]any)
	return meta["version"]
}
