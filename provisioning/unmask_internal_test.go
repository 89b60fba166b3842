package provisioning

import (
	"strings"
	"testing"
)

// TestReasonsShow: what the trail has of why, and of who, is something that whoever reads it sees.
func TestReasonsShow(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{"case 4711": true, "電話の件": true, "\u200b?": true, "🎫": true, "": false, " \t": false, strings.Repeat("\u200b", 8): false,
		"\u2060\ufeff\u00ad": false, "\u3164\u115f\uffa0": false, "\u2800": false, "\ufe0f\u034f": false, "\U000e0041": false} {
		if got := isVisible(text); got != want {
			t.Errorf("%+q: %t", text, got)
		}
		if text == "" {
			continue
		}
		if err := checkHolder(text); (err == nil) != want {
			t.Errorf("a key of %+q: %v", text, err)
		}
		if err := (SettingsDraft{Settings: DefaultSettings(), Comment: text}).check(); (err == nil) != want {
			t.Errorf("settings with the comment %+q: %v", text, err)
		}
	}
}
