package provisioning

// Presets are all presets, the default first.
func Presets() []Preset {
	return []Preset{PresetDefault, PresetMirror, PresetSuspendOrDelete, PresetGuarded, PresetHandPicked}
}

// Settings are what a preset stands for, before anything departs from it. ok is false for a word that is no preset.
func (p Preset) Settings() (s Settings, ok bool) {
	s = DefaultSettings()
	s.Preset = p
	switch p {
	case PresetDefault:
	case PresetMirror:
		mirror(&s)
	case PresetSuspendOrDelete:
		suspendOrDelete(&s)
	case PresetGuarded:
		guarded(&s)
	case PresetHandPicked:
		handPicked(&s)
	default:
		return Settings{}, false
	}
	return s, true
}

// mirror keeps the directory equal to what the client asserts. There is no grace time and no person asked, so
// the tolerance stays: it is all that is left between a client gone wrong and an empty directory.
func mirror(s *Settings) {
	s.Matching.Attributes = []string{"emails", "userName"}
	s.Matching.Adoption = AdoptionAdopt
	s.Deletion.Users = UserDeletion{Deactivated: DeletePolicy, Deleted: DeletePolicy, Scope: DeletePolicy}
	s.Deletion.Grace = 0
	s.Deletion.Purge = PurgeAuto
}

// suspendOrDelete does what the client's word says and no more: leaving a scope is neither of the two, and can be
// taken back.
func suspendOrDelete(s *Settings) {
	s.Matching.Attributes = []string{"userName"}
	s.Deletion.Users = UserDeletion{Deactivated: SuspendPolicy, Deleted: DeletePolicy, Scope: SuspendPolicy}
	s.Deletion.Groups = GroupDeletion{Deleted: DeletePolicy, Scope: RemoveMembersPolicy}
	s.Deletion.Purge = PurgeAuto
}

// guarded deletes what is gone from the source, and counts more narrowly than the default what goes. The
// userName is decided once.
func guarded(s *Settings) {
	s.Matching.Attributes = []string{"userName"}
	s.Mapping.UserName.Frozen = true
	s.Deletion.Users = UserDeletion{Deactivated: DeletePolicy, Deleted: DeletePolicy, Scope: DeletePolicy}
	s.Deletion.Purge = PurgeAuto
	s.Tolerance.Users = Tolerance{Share: 10, Count: 100, Floor: 5}
	s.Tolerance.Groups = Tolerance{Share: 10, Count: 100, Floor: 5}
	s.Tolerance.Members = Tolerance{Share: 25, From: 20}
}

// handPicked lets nothing leave by itself.
func handPicked(s *Settings) {
	s.Deletion.Users = UserDeletion{Deactivated: HoldPolicy, Deleted: HoldPolicy, Scope: HoldPolicy}
	s.Deletion.Groups = GroupDeletion{Deleted: HoldPolicy, Scope: HoldPolicy}
}
