package settings_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"meibo/provisioning"
	"meibo/provisioning/settings"
)

func TestPresetsAreOneWord(t *testing.T) {
	t.Parallel()
	for _, p := range provisioning.Presets() {
		t.Run("preset "+string(p), func(t *testing.T) {
			t.Parallel()
			want, ok := p.Settings()
			if !ok {
				t.Fatal("unknown")
			}
			source := ""
			if p != provisioning.PresetDefault {
				source = "preset: " + string(p) + "\n"
			}
			got, err := settings.Parse([]byte(source))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("Parse (-want +got):\n%s", diff)
			}
			if back := string(settings.Format(want)); back != source {
				t.Errorf("Format: %q, want %q", back, source)
			}
		})
	}
	if _, ok := provisioning.Preset("mirrors").Settings(); ok {
		t.Error("an unknown preset has settings")
	}
}
