// Package archtest owns the table of which room may import which, and holds the source to it and to those habits of the
// project that a parser can see. It does not judge behaviour: the rooms' own tests do.
package archtest

// Module is the import path of the project.
const Module = "github.com/dalamb/dalamb"

// Room is one line of the table: a directory and everything below it, up to a deeper line.
type Room struct {
	Path string   // below the module's root
	May  []string // rooms that its non-test files may import, written below internal/
}

// Edge is an import that the plan of the house did not have, with the reason why it is right.
type Edge struct{ From, To, Reason string }

// Table is the plan of the house. "*" in May stands for every room that is not named with a "-" before it.
func Table() []Room {
	return []Room{
		{"cmd/dalamb", []string{"cli"}},
		{"internal/backup", []string{"fault"}},
		{"internal/wire", []string{"event", "function", "fault"}},
		{"internal/event", nil},
		{"internal/fault", nil},
		{"internal/durable", nil},
		{"internal/audit", []string{"function", "wire", "eventlog", "event", "fault"}},
		{"internal/audit/repository", []string{"audit", "fault"}},
		{"internal/access", []string{"fault"}},
		{"internal/forwarded", nil},
		{"internal/gitssh", nil},
		{"internal/signin", nil},
		{"internal/issuer", nil},
		{"internal/certificate", []string{"fault"}},
		{"internal/freshness", nil},
		{"internal/scatter", nil},
		{"internal/yamlfault", nil},
		{"internal/function", []string{"event", "fault", "match", "schedule", "yamlfault"}},
		{"internal/schedule", nil},
		{"internal/eventlog", []string{"event", "fault"}},
		{"internal/eventlog/disk", []string{"eventlog", "event", "fault"}},
		{"internal/eventlog/kafka", []string{"eventlog", "event", "fault"}},
		{"internal/eventlog/enginetest", []string{"eventlog", "eventlog/disk", "eventlog/kafka", "eventlog/eventlogtest"}},
		{"internal/eventlog/eventlogtest", []string{"eventlog", "event", "fault"}},
		{"internal/match", []string{"event"}},
		{"internal/catalog", []string{"function", "match", "eventlog", "event", "fault"}},
		{"internal/payload", []string{"event", "function"}},
		{"internal/dispatch", []string{"catalog", "fleet", "match", "payload", "function", "eventlog", "event", "fault"}},
		{"internal/fleet", []string{"entry", "runner", "function", "event", "fault"}},
		{"internal/entry", []string{"runner", "function", "event", "fault"}},
		{"internal/runner", []string{"function", "image", "fault"}},
		{"internal/runner/native", []string{"runner", "image", "fault"}},
		{"internal/runner/egress", []string{"runner", "fault"}},
		{"internal/runner/oci", []string{"runner", "image", "fault"}},
		{"internal/runner/process", []string{"runner", "image", "fault"}},
		{"internal/runner/kube", []string{"runner", "image", "fault"}},
		{"internal/runner/runnertest", []string{"runner", "image", "fault"}},
		{"internal/image", []string{"fault"}},
		{"internal/build", []string{"runner", "function", "image", "fault"}},
		{"internal/image/registry", []string{"image", "fault"}},
		{"internal/image/pull", []string{"image", "fault"}},
		{"internal/provision", []string{"image", "image/pull", "runner", "function", "fault"}},
		{"internal/chunk", []string{"function", "eventlog", "fault"}},
		{"internal/body", []string{"chunk", "function", "eventlog", "fault"}},
		{"internal/codeshare", []string{"chunk", "image", "function", "eventlog", "fault"}},
		{"internal/source/hook", []string{"function", "fault"}},
		{"internal/source", []string{"eventlog", "event", "fault", "catalog", "function"}},
		{"internal/callback", []string{"function", "eventlog", "event", "fault"}},
		{"internal/idempotency", []string{"function", "eventlog", "event", "fault"}},
		{"internal/copier", []string{"catalog", "function", "eventlog", "event", "fault"}},
		{"internal/gateway", []string{"catalog", "fleet", "history", "match", "eventlog", "function", "event", "fault"}},
		{"internal/openapi", []string{"fault", "yamlfault"}},
		{"internal/await", []string{"function", "match", "eventlog", "event", "fault"}},
		{"internal/mock", []string{"openapi", "function", "wire", "fault"}},
		{"internal/purge", []string{"catalog", "function", "match", "eventlog", "event", "fault"}},
		{"internal/deliver", []string{"image", "catalog", "fleet", "history", "function", "eventlog", "event", "fault"}},
		{"internal/deliver/git", []string{"image", "function", "wire", "eventlog", "event", "fault"}},
		{"internal/deliver/follow", []string{"image/pull", "catalog", "function", "wire", "eventlog", "event", "fault"}},
		{"internal/deliver/incoming", []string{"deliver/git", "catalog", "function", "eventlog", "event", "fault"}},
		{"internal/secret", []string{"fault"}},
		{"internal/seal", []string{"secret", "function", "eventlog", "event", "fault"}},
		{"internal/discovery", []string{"function", "eventlog", "event", "fault"}},
		{"internal/discovery/dns", []string{"discovery", "function", "fault"}},
		{"internal/health", []string{"fleet", "function", "eventlog", "fault"}},
		{"internal/quota", []string{"function", "fault"}},
		{"internal/usage", []string{"catalog", "function", "eventlog", "event", "fault"}},
		{"internal/alert", []string{"catalog", "function", "eventlog", "event", "fault"}},
		{"internal/nodes", []string{"function", "eventlog", "fault"}},
		{"internal/ship", []string{"function", "eventlog", "event", "fault"}},
		{"internal/upstream", []string{"catalog", "function", "wire", "fault"}},
		{"internal/replay", []string{"catalog", "history", "function", "eventlog", "event", "fault"}},
		{"internal/shadow", []string{"fleet", "replay", "function", "eventlog", "event", "fault"}},
		{"internal/history", []string{"eventlog", "event", "fault"}},
		{"internal/bundle", []string{"replay", "eventlog", "wire", "function", "event", "fault"}},
		{"internal/api", []string{"catalog", "history", "dispatch", "deliver", "fleet", "image", "match", "secret", "eventlog", "wire", "function", "event", "fault"}},
		{"internal/aws", []string{"api", "catalog", "image", "match", "secret", "wire", "function", "event", "fault"}},
		{"internal/client", []string{"wire", "function", "event", "fault"}},
		{"internal/bisect", []string{"replay", "client", "wire", "function", "fault"}},
		{"internal/incident", []string{"bundle", "client", "eventlog", "wire", "function", "event", "fault"}},
		{"internal/declare", []string{"client", "wire", "function", "image", "fault"}},
		{"internal/console", []string{"client", "wire"}},
		{"internal/config", []string{"fault", "yamlfault"}},
		{"internal/telemetry", []string{"fault"}},
		{"internal/tracing", nil},
		{"internal/series", nil},
		{"internal/doctor", []string{"fault"}},
		{"internal/watch", []string{"fault"}},
		{"internal/starter", []string{"function", "fault"}},
		{"internal/app", []string{"*", "-cli", "-client", "-cmd/dalamb", "-examples", "-hack"}},
		{"internal/cli", []string{"app", "client", "wire", "match", "config", "event", "function", "fault"}},
		{"internal/need", nil},
		{"internal/archtest", nil},
		// Outside the house: users' programs, which know it by its protocols only, and what measures and builds it.
		{"examples", nil},
		{"hack", []string{"*", "-cmd/dalamb", "-examples"}},
	}
}

// Edges were added after the plan.
func Edges() []Edge {
	return []Edge{
		{"deliver/git", "build", "a pushed directory may be source, which is built before it is delivered"},
		{"api", "seal", "what is forgotten is counted, and its key named, in seal's words"},
		{"api", "build", "a client may send source, whose build it follows"},
		{"cli", "declare", "export and apply print what it finds"},
		{"gateway", "quota", "what an environment may not do now is told with the time when it may, as a sender's quota of a topic and a limit of a route are"},
		{"api", "quota", "who called too often is told when to come again, as at the gateway"},
		{"console", "function", "the shapes of runs, versions and triggers are function's; client gives them as they are"},
		{"console", "fault", "a page says what went wrong, and the next step"},
		{"console", "access", "what a visitor may not has no button, by the rules that the API asks"},
		{"console", "signin", "people sign in at a browser with an OpenID provider, as they do on a route"},
		{"console", "event", "which changes say what was live is asked for by their types"},
		{"cli", "yamlfault", "a price list that is no YAML is told with its place, as a manifest is"},
		{"cli", "starter", "init says what was written; functions to begin with are a room of their own, because they are users' code"},
		{"cli", "backup", "a backup is copied, and restored, on the machine of the data directory, by who may read it; the node only holds still"},
		{"cli", "audit", "a proof is checked, and a log compared with what was signed, by who asks, where he asks: a node that was tampered with would say what it likes"},
		{"cli", "watch", "deploy --watch is told what changed where the user's editor runs, which is not the node"},
		{"cli", "doctor", "it prints the findings, whose shape is doctor's"},
		{"runner/native", "runner/egress", "a sandbox's way out is carried by the node's own sockets"},
		{"cli", "image", "deploy packs the code directory where it stands"},
		{"cli", "image/pull", "deploy sends an image that stands beside the manifest to the node's registry"},
		{"entry", "image", "which extensions an image has is told by its layers and their whiteouts, which are image's"},
		{"history", "function", "the shapes of runs, requests and dead letters are function's"},
		{"provision", "codeshare", "images of versions are followed, and tried again, as their code is"},
		{"api", "bundle", "a trace is exported as a file, of which one room alone knows the form"},
		{"cli", "bisect", "the search among versions; cli runs the check, and prints"},
		{"cli", "incident", "up --bundle makes it happen again; cli starts the node"},
		{"cli", "bundle", "up --bundle reads that file, and compares what came of it the second time"},
		{"api", "replay", "two versions are compared as two results are: one walk over two JSON values"},
		{"dispatch", "shadow", "it is told of attempts whose outcome is known, some of which are copied"},
		{"gateway", "shadow", "the same of calls"},
		{"image/registry", "wire", "one table of fault -> HTTP status"},
		{"runner/oci", "runner/native", "a runtime only makes the namespaces; the init in them, its protocol and the limits are native's"},
		{"catalog", "access", "what a token may is kept with it, and every control event says who caused it"},
		{"gateway", "access", "who shows a token, and whether he may call a function or send events"},
		{"api", "access", "what each route asks of who sends a request is in one table"},
		{"aws", "access", "the same of AWS's operations"},
		{"image/registry", "access", "who pushes an image deploys what follows it"},
		{"deliver/git", "access", "who pushes deploys what the commits declare"},
		{"deliver/follow", "access", "a version that follows an image says so"},
		{"gateway", "issuer", "what a token of an issuer claims is a room of its own; what a route wants of it is the route's policy"},
		{"gateway", "await", "a route says which event answers; who waits for it is told by one reader of each topic"},
		{"upstream", "entry", "a server is asked as an http function is: the same header, bodies, streams and tunnels"},
		{"gateway", "tracing", "its requests, and what they put in the log, are spans; what a span says is a matter of its own"},
		{"fleet", "tracing", "the same of invocations"},
		{"dispatch", "tracing", "the same of attempts"},
		{"telemetry", "tracing", "it sends the spans that have ended"},
		{"gateway", "series", "how many series there may be, and what histograms look like, is said once"},
		{"fleet", "series", "the same"},
		{"dispatch", "series", "the same"},
		{"eventlog/disk", "series", "the same"},
		{"eventlog/kafka", "series", "the same"},
		{"gateway", "health", "what it tells of the node's grade is health's"},
		{"api", "discovery", "it answers who serves what, and takes the registrations"},
		{"api", "health", "the same, with its figures"},
		{"gateway", "idempotency", "which requests were run under a key is a fold of its own; what an answer is, and which are worth keeping, is the route's policy"},
		{"gateway", "freshness", "the rules by which an answer may be kept are a matter of their own; the route's policy keeps it"},
		{"gateway", "scatter", "how several are asked at once, and what is made of what comes, is a matter of its own; the route asks functions"},
		{"gateway", "wire", "one table of fault -> HTTP status, one shape of an error in JSON"},
		{"gateway", "openapi", "what a document says of requests and answers is a room of its own; the route's policy asks it"},
		{"api", "openapi", "a deploy with a document that is wrong is refused, with its line"},
		{"cli", "mock", "it listens for the answers that stand in for a service"},
		{"cli", "openapi", "mock reads a document where the user is, which need not be a node; one that a node gives is printed as YAML"},
		{"cli", "telemetry", "up makes the logger, because what it writes to is the terminal's"},
		{"catalog", "secret", "what is sealed is kept as it is; nothing is opened there"},
		{"image/registry", "durable", "the index of a repository is replaced as a whole"},
		{"deliver/git", "durable", "what is told of a push is noted before it is told, so that a node that is killed in between tells it once"},
		{"deliver/follow", "durable", "a push that waits is a file, which must outlive the node that took it"},
		{"secret", "durable", "the key of all secrets is in its file before anything is encrypted for it"},
		{"build", "eventlog", "the log is told of each build, so that functions can listen, and what came of it can be asked for"},
		{"build", "event", "the same, as events"},
		{"build", "durable", "so is the key that signs; the record of a build is there whole or not at all"},
		{"gateway", "forwarded", "where a request comes from is told by proxies, whose words are a room of their own"},
		{"gateway", "signin", "how a person signs in with an OpenID provider, and what a browser keeps of it, is a room of its own"},
		{"entry", "forwarded", "a function is told in the same words"},
		{"audit/repository", "durable", "which commit was pushed last is in its file whole or not at all"},
		{"audit/repository", "gitssh", "git speaks ssh as it does for what is fetched: one key, one list of hosts"},
		{"deliver/git", "gitssh", "the same of what is fetched"},
		{"cli", "audit/repository", "checkpoints are read from where they were brought by who verifies, where he asks"},
		{"audit", "durable", "the key that signs, and what was signed, are in their files whole or not at all"},
		{"alert", "access", "which functions a glob names is told there"},
		{"ship", "durable", "an older file of lines is packed before it is removed, whatever ends the program"},
		{"backup", "durable", "a backup's list of files is there whole or not at all"},
		{"certificate", "durable", "a key and its certificate are in their files whole or not at all"},
		{"cli", "certificate", "tls makes certificates where the operator is, which need not be a node; a client believes a node by its authority"},
		{"config", "function", "sizes and durations are spelled alike in both files that people write"},
	}
}

// tests may import these beside what their room may import, directly or through other rooms.
func testRooms() []string {
	return []string{"need", "access", "app", "config", "client", "eventlog/disk", "eventlog/kafka", "eventlog/enginetest", "eventlog/eventlogtest",
		"runner/native", "runner/oci", "runner/process", "runner/kube", "runner/runnertest", "image/pull", "image/registry", "upstream"}
}

// testModules are modules that only tests may import.
func testModules() []string {
	return []string{"github.com/cloudevents/sdk-go", "pgregory.net/rapid", "github.com/rogpeppe/go-internal",
		"golang.org/x/net/bpf", "golang.org/x/net/http2", "golang.org/x/crypto/ssh", "github.com/aws/aws-lambda-go", "github.com/aws/aws-sdk-go-v2", "github.com/chromedp"}
}

// Exception is a file or package that may break a habit, with the reason.
type Exception struct{ Habit, Path, Reason string }

// Exceptions from the habits; Path is a file or a directory below the root.
func Exceptions() []Exception {
	return []Exception{
		{"init", "internal/runner/native/inside", "the sandbox's first process must not run the rest of the program; the launcher's form was chosen by measuring"},
		{"ctx", "internal/dispatch/partition.go", "scope is a parameter: two contexts that are passed on together and kept nowhere"},
	}
}
