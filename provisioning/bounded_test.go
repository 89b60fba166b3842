package provisioning

import "testing"

// TestFewRulesAreKept: of a connection's settings the latest versions, in whatever order they are asked for.
func TestFewRulesAreKept(t *testing.T) {
	t.Parallel()
	s := New(Options{})
	for i := range int64(100) {
		s.keepRules(7, &Rules{Version: 1 + i*37%100})
		s.keepRules(7, &Rules{Version: 1 + i*37%100})
	}
	for version := range int64(102) {
		if kept := s.known(7, version) != nil; kept != (version > 100-keptRules && version <= 100) {
			t.Errorf("version %d kept: %v", version, kept)
		}
	}
	if s.known(8, 100) != nil {
		t.Error("another connection has them, too")
	}
}
