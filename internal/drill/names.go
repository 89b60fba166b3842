package drill

// The raw material of the synthetic company. Values are chosen to hurt: other scripts, decomposed accents, quotes, apostrophes, plus signs
// and blanks at either end, since whatever a server normalises Entra ID sends again in every cycle.
var (
	givenNames = []string{
		"Anna", "Björn", "太郎", "Žofia", "Jos\u00e9", "Jose\u0301", "Nguyễn", "Siobhán", "Ольга", "Μαρία",
		"محمد", "민준", "D'Arcy", "Mary Ann", "Łukasz", "Chloë", "Þór", "ＫＥＮ", "İpek", "अनिल",
	}
	surnames = []string{
		"Berg", "O'Brien", "山田", "Dvořáková", "García y López", "van der Meer", "Straße", "Ní Chonaill", "Иванова", "Παππά",
		"الحسن", "김", "Smith-Jones", "\"Ace\" Miller", "Müller", "de la Cruz", "Şahin", "Đặng", "शर्मा", "Quinn  ",
	}
	jobTitles = []string{
		"Engineer", "Senior Engineer ", " Head of \"Everything\"", "R&D Lead", "Directrice générale", "係長", "VP, Sales + Marketing", "Clerk <3rd class>",
	}
	departments = []string{"Sales", "R&D", "Büro Köln", "人事部", "Legal / Compliance", "IT+Ops"}
	languages   = []string{"en-US", "de-DE", "ja-JP", "cs-CZ", "fr-CA", "pt-BR"}
	offices     = []string{"Bldg 1, 2nd floor", "Zentrale \"Nord\"", "本社 3F", "Q/4 #12"}
	streets     = []string{"1 Main St", "Kaiserstraße 5", "千代田区丸の内1-1", "12, rue de l'Église", "P.O. Box 7\nRear Gate"}
	cities      = [][4]string{
		{"Springfield", "IL", "62701", "US"}, {"Köln", "NW", "50667", "DE"}, {"東京", "東京都", "100-0005", "JP"},
		{"Québec", "QC", "G1R 4P5", "CA"}, {"São Paulo", "SP", "01000-000", "BR"},
	}
	domains = []string{"contoso.com", "Contoso.onmicrosoft.com", "münchen.example", "fabrikam.co.jp"}
	roles   = []string{"Admin", "Reader", "Billing Owner", "監査"}

	// groupNames are patterns; the mark makes each name unique even where a server folds case and width.
	groupNames = []string{
		"Team %s", "EDU All personal %s", `TestGrp-!@#$%%^&*()_+=-{}][":;'/.,?\%s`, "営業部 %s", "R&D + Ops %s", "O'Neil's \"A\" team %s",
		"50%% off %s", "a=b&c=d#%s", `back\slash %s`, "Équipe  double  blank %s",
	}
)
