package mapping

import (
	"sync"
	"testing"
)

// TestReading is parallel, and reads all names at once several times over: the dictionary loads for one
// of them while the others wait.
func TestReading(t *testing.T) {
	t.Parallel()
	names := map[string]string{
		"山田太郎":      "ヤマダタロウ",
		"東海林":       "ショウジ",
		"五十嵐大輔":     "イガラシダイスケ",
		"髙橋 美咲":     "タカハシ ミサキ",
		"高橋　美咲":     "タカハシ ミサキ",
		"さくら":       "サクラ",
		"ｻﾄｳ ﾊﾅｺ":   "サトウ ハナコ",
		"ヴァン・デル":    "ヴァン・デル",
		"𠮟鱻":        "", // no reading is known
		"John":      "",
		"山田 John":   "",
		"中島健人":      "ナカジマケンジン", // wrong, and no sign of it: a reading is a guess
		" 山田  太郎 ":  "ヤマダ タロウ",
		"\u3000":    "",
		"やまだ\u3099": "", // a mark that belongs to no kana
	}
	var group sync.WaitGroup
	for range 4 {
		for name, want := range names {
			group.Go(func() {
				if got := kagomeReading(name); got != want {
					t.Errorf("%q reads %q, want %q", name, got, want)
				}
			})
		}
	}
	group.Wait()
}

func TestRomanize(t *testing.T) {
	t.Parallel()
	tests := []struct{ kana, want string }{
		{"ヤマダ タロウ", "Yamada Taro"},
		{"やまだ　たろう", "Yamada Taro"},
		{"ﾔﾏﾀﾞ", "Yamada"},
		{"オオノ", "Ono"},
		{"セノオ", "Senoo"},
		{"サイトウ", "Saito"},
		{"ユウコ", "Yuko"},
		{"イノウエ", "Inoue"},
		{"ホンマ", "Homma"},
		{"シンバシ", "Shimbashi"},
		{"ジュンイチ", "Junichi"},
		{"ハットリ", "Hattori"},
		{"ホッチ", "Hotchi"},
		{"キッショウ", "Kissho"},
		{"チヅル", "Chizuru"},
		{"フジワラ", "Fujiwara"},
		{"リョウヘイ", "Ryohei"},
		{"ニイナ", "Niina"},
		{"ショー", "Sho"},
		{"ヴィクトリア", "Bikutoria"},
		{"ティナ", "Tina"},
		{"ジェーン", "Jen"},
		{"ヲ", "O"},
		{"ッ", ""},
		{"アッ", "A"},
		{"Taro ヤマダ", "Taro Yamada"},
		{"山田", "山田"},
		{"", ""},
	}
	for _, tt := range tests {
		if got := romanize(tt.kana); got != tt.want {
			t.Errorf("%q is %q, want %q", tt.kana, got, tt.want)
		}
	}
}
