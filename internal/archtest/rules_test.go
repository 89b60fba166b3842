package archtest

// The direction, from the binary inwards:
//
//	cmd → {scim/endpoint, web/api, store, internal/drill, config} → provisioning → provisioning/mapping → scim
//
// Siblings inside the braces do not import each other.

const (
	gorm   = "gorm.io"
	echo   = "github.com/labstack/echo/v4"
	huma   = "github.com/danielgtaylor/huma/v2"
	schema = "github.com/elimity-com/scim/schema"
	text   = "golang.org/x/text"
	uuid   = "github.com/google/uuid"
	zap    = "go.uber.org/zap"
	otel   = "go.opentelemetry.io/otel" // its API; the SDK is the binary's alone
)

// row says what one package may import.
type row struct {
	pkg string // folder below the module's root

	// imports lists what non-test files may import besides the standard library: packages of this module exactly,
	// folders of other modules with all below them. "*" allows everything.
	imports []string

	// tests lists what the package's test files may import in addition to that and to testImports.
	tests []string

	pure        bool // no file of it, tests aside, imports from impure or calls the clock
	environment bool // may read environment variables
}

// rows has every package of the module, from the inside outwards.
var rows = []row{
	{pkg: "internal/spelling", pure: true},
	{pkg: "scim", imports: []string{schema, text}, pure: true,
		// Its witness test compares with the whole of that library.
		tests: []string{"github.com/elimity-com/scim", "github.com/scim2/filter-parser/v2"}},
	{pkg: "scim/scimtest", imports: []string{"meibo/scim", "pgregory.net/rapid"}},
	{pkg: "provisioning/mapping", imports: []string{"meibo/scim", text, "github.com/expr-lang/expr", "github.com/ikawaha/kagome/v2", "github.com/ikawaha/kagome-dict/ipa"}, pure: true},
	{pkg: "provisioning", imports: []string{"meibo/scim", "meibo/provisioning/mapping", text, uuid}, pure: true,
		tests: []string{"meibo/store", "meibo/store/storetest", "meibo/internal/impact", "meibo/internal/webhook"}},
	{pkg: "provisioning/sheet", pure: true},
	{pkg: "provisioning/words", imports: []string{"meibo/provisioning"}, pure: true},
	{pkg: "provisioning/summary", imports: []string{"meibo/scim", "meibo/provisioning", "meibo/provisioning/sheet", "meibo/provisioning/words"}, pure: true,
		tests: []string{"meibo/store/storetest"}},
	{pkg: "provisioning/transfer", imports: []string{"meibo/scim", "meibo/provisioning", "meibo/provisioning/sheet"}, pure: true,
		tests: []string{"meibo/scim/scimtest", "meibo/store", "meibo/store/storetest"}},
	{pkg: "provisioning/settings", imports: []string{"meibo/provisioning", "meibo/internal/spelling", "go.yaml.in/yaml/v3"}, pure: true,
		tests: []string{"meibo/scim"}},

	{pkg: "internal/edge", imports: []string{"meibo/provisioning", otel, "golang.org/x/time"}},
	{pkg: "internal/seal"},
	{pkg: "internal/exchange", pure: true},
	{pkg: "internal/capture", imports: []string{"meibo/provisioning", "meibo/internal/seal"},
		tests: []string{"meibo/store/storetest", "github.com/google/go-cmp"}},
	{pkg: "internal/replay", imports: []string{"meibo/scim", "meibo/provisioning", "meibo/internal/auth", "meibo/internal/capture", uuid}},
	{pkg: "internal/supportpack", imports: []string{"meibo/scim", "meibo/provisioning", "meibo/provisioning/settings", "meibo/provisioning/summary", "meibo/provisioning/words",
		"meibo/internal/capture", "meibo/internal/exchange", "meibo/internal/seal", uuid},
		tests: []string{"meibo/internal/auth", "meibo/scim/endpoint", "meibo/store/storetest", zap}},
	{pkg: "scim/endpoint", imports: []string{"meibo/scim", "meibo/provisioning", "meibo/internal/auth", "meibo/internal/capture", "meibo/internal/edge",
		echo, otel, uuid, zap},
		tests: []string{"meibo/internal/exchange", "meibo/store", "meibo/store/storetest"}},
	{pkg: "web/api", imports: []string{"meibo/scim", "meibo/provisioning", "meibo/provisioning/settings", "meibo/provisioning/summary", "meibo/provisioning/transfer", "meibo/provisioning/words", "meibo/internal/auth", "meibo/internal/capture", "meibo/internal/edge", "meibo/internal/replay", "meibo/internal/seal",
		echo, huma, otel, uuid, zap},
		tests: []string{"meibo/store", "meibo/store/storetest", "github.com/getkin/kin-openapi"}},
	{pkg: "store", imports: []string{"meibo/scim", "meibo/provisioning",
		gorm, "modernc.org/sqlite", "github.com/jackc/pgx/v5", "github.com/pressly/goose/v3", otel, text, uuid, zap, "golang.org/x/sync"},
		tests: []string{"meibo/store/storetest"}},
	{pkg: "store/storetest", imports: []string{"meibo/scim", "meibo/scim/scimtest", "meibo/provisioning", "meibo/store", "meibo/internal/testkit",
		"github.com/google/go-cmp", "pgregory.net/rapid", uuid}},
	{pkg: "internal/auth", imports: []string{"meibo/provisioning", uuid},
		tests: []string{"meibo/store", "meibo/store/storetest"}},
	{pkg: "internal/webhook"},
	{pkg: "internal/impact", imports: []string{"meibo/scim", "meibo/provisioning", "meibo/internal/webhook"}},
	{pkg: "internal/drill", imports: []string{"meibo/scim", "golang.org/x/sync", "golang.org/x/time"}},
	{pkg: "config", imports: []string{"meibo/internal/spelling", "github.com/knadh/koanf"}, environment: true},

	{pkg: "cmd/meibo", imports: []string{"*"}, environment: true},

	// What the tests of the whole compare with.
	{pkg: "internal/witness", imports: []string{"meibo/scim", "meibo/provisioning", "github.com/jackc/pgx/v5", "modernc.org/sqlite",
		"github.com/google/go-cmp"}},
	{pkg: "internal/mirror", imports: []string{"github.com/google/go-cmp"}},
	// It puts the whole server together, but for the binary, and has tests alone.
	{pkg: "internal/e2e", tests: []string{"meibo/scim", "meibo/scim/endpoint", "meibo/web/api", "meibo/provisioning", "meibo/provisioning/summary", "meibo/provisioning/transfer", "meibo/provisioning/words", "meibo/store", "meibo/store/storetest", "meibo/internal/auth",
		"meibo/internal/capture", "meibo/internal/replay", "meibo/internal/seal", "meibo/internal/drill", otel, zap, "golang.org/x/sync"}},
	// It breaks the binary from outside and reads its database; it too has tests alone.
	{pkg: "internal/campaign", tests: []string{"meibo/scim", "meibo/scim/endpoint", "meibo/provisioning", "meibo/store", "meibo/store/storetest", "meibo/internal/drill",
		"github.com/jackc/pgx/v5", "modernc.org/sqlite", "github.com/anishathalye/porcupine", "golang.org/x/sync"}},
	{pkg: "internal/archtest"},
	// TEST_POSTGRES_DSN and REQUIRE_POSTGRES are addressed to the tests, not to the product.
	{pkg: "internal/testkit", imports: []string{"github.com/jackc/pgx/v5"}, environment: true},
}

// testImports is what every test may use.
var testImports = []string{
	"meibo/internal/testkit", "meibo/internal/witness", "meibo/internal/mirror", "meibo/scim/scimtest", "github.com/google/go-cmp", "github.com/rogpeppe/go-internal", "pgregory.net/rapid", "go.uber.org/goleak",
}

// exclusive holds over every row and every test: who imports the left side is on the right side.
var exclusive = map[string][]string{
	gorm:           {"store"},
	echo:           {"scim/endpoint", "web/api"},
	huma:           {"web/api"},
	"meibo/config": {"cmd/meibo"},
	// What makes and sends spans; the others know the interface alone.
	otel + "/sdk":       {"cmd/meibo", "internal/e2e"},
	otel + "/exporters": {"cmd/meibo"},
}

// impure is the part of the standard library that a package without input and output has no use for.
var impure = []string{"net", "net/http", "database/sql", "os", "os/exec", "log", "log/slog", "syscall", "math/rand", "math/rand/v2"}

// environmentReaders are the functions that make a program depend on its environment.
var environmentReaders = []string{
	"os.Getenv", "os.LookupEnv", "os.Environ", "os.ExpandEnv", "syscall.Getenv", "syscall.Environ",
}

// clockReaders are the functions that make a result depend on when it was computed; a pure package is given the time.
var clockReaders = []string{"time.Now", "time.Since", "time.Until"}
