package api

import (
	"net/http"
	"slices"

	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// route is one line of the API. The OpenAPI document says of it what stands here.
type route struct {
	Method, Path string
	Name         string // operationId
	Summary      string
	Query        []param
	Body         any    // zero value of what the JSON body holds; nil = none
	BodyType     string // media type of a body that is not JSON; "" = see Body
	Answer       any    // zero value of what the JSON answer holds; nil = none
	AnswerType   string // media type; "" = application/json
	Status       int    // of success; 0 = 200
	Also         []int  // other statuses that it answers with, beside those that every route has
	Lasts        bool   // until its client ends it: it ends with the client's token, too

	// Exactly one of serve and raw is set. serve returns the answer; raw writes it, or returns an error before it has
	// written anything.
	serve func(r *http.Request, q query) (any, error)
	raw   func(w http.ResponseWriter, r *http.Request, q query) error
}

// param is a query parameter.
type param struct {
	Name, About string
	Type        string   // string, integer, boolean
	Enum        []string // nil = any
}

func (r *route) status() int {
	if r.Status == 0 {
		return http.StatusOK
	}
	return r.Status
}

const ndjson = "application/x-ndjson"

func (a *API) routes() []route {
	page := []param{
		{Name: "limit", Type: "integer", About: "rows of one page; 100, at most 1000"},
		{Name: "after", Type: "string", About: "the next of the page before"},
	}
	ofAlias := []param{{Name: "alias", Type: "string", About: "that is rolled out; live by default"}}
	return append([]route{
		{Method: "GET", Path: "/v1/openapi.json", Name: "getOpenAPI", Summary: "This document.", raw: a.getOpenAPI},
		{Method: "GET", Path: "/v1/routes/openapi.json", Name: "getRoutesOpenAPI", Summary: "All routes of the gateway as one OpenAPI document; see docs/openapi.md.",
			Query: []param{
				{Name: "environment", Type: "string", About: "whose routes; production's by default"},
				{Name: "function", Type: "string", About: "the routes of this function alone"},
			}, AnswerType: "application/json", raw: a.getRoutesOpenAPI},
		{Method: "GET", Path: "/v1/nodes", Name: "listNodes", Summary: "How each node does that shares this node's log: its health, and what its instances take, as it has said itself within the last seconds.", Answer: wire.NodeList{}, serve: a.listNodes},
		{Method: "GET", Path: "/v1/node", Name: "getNode", Summary: "What this node is, and what fences its functions.", Answer: wire.Node{}, serve: a.getNode},
		{Method: "POST", Path: "/v1/checkpoints", Name: "checkpoint", Summary: "Keep a copy of the event log, and remove nothing that it refers to, until the client ends the answer; its one line says where the files are, on the node's machine.",
			Answer: wire.Checkpoint{}, AnswerType: ndjson, Also: []int{503}, Lasts: true, raw: a.checkpoint},

		{Method: "GET", Path: "/v1/functions", Name: "listFunctions", Summary: "All functions.", Answer: wire.FunctionList{}, serve: a.listFunctions},
		{Method: "POST", Path: "/v1/functions", Name: "deploy", Summary: "Make a version of a function and point an alias at it. The code was uploaded before.",
			Body: wire.DeployRequest{}, Answer: wire.Deployed{}, Also: []int{409}, serve: a.deploy},
		{Method: "POST", Path: "/v1/releases", Name: "release", Summary: "Make versions of several functions, and point aliases at them, by one append to the log: all of it or nothing. Their code was uploaded before.",
			Body: wire.ReleaseRequest{}, Answer: wire.Released{}, Also: []int{409}, serve: a.releaseAll},
		{Method: "GET", Path: "/v1/functions/{name}", Name: "getFunction", Summary: "One function: versions, aliases, triggers, instances.", Answer: wire.Function{}, serve: a.getFunction},
		{Method: "GET", Path: "/v1/functions/{name}/versions", Name: "listVersions", Summary: "The versions of a function, the newest first, with what points at each.", Answer: wire.VersionList{}, serve: a.listVersions},
		{Method: "GET", Path: "/v1/functions/{name}/diff", Name: "diffVersions", Summary: "Where two versions of a function differ: settings, environment, triggers, files.",
			Query: []param{{Name: "from", Type: "integer", About: "the number of a version"}, {Name: "to", Type: "integer", About: "the number of another one"}}, Answer: wire.VersionDiff{}, serve: a.diffVersions},
		{Method: "GET", Path: "/v1/functions/{name}/aliases", Name: "listAliases", Summary: "The aliases of a function, and what each would go back to.", Answer: wire.AliasList{}, serve: a.listAliases},
		{Method: "PUT", Path: "/v1/functions/{name}/aliases/{alias}", Name: "shiftAlias", Summary: "Point an alias at versions, with shares; or, with dryRun, say what that would change. A slash in the alias's name is written %2F.",
			Body: wire.ShiftRequest{}, Answer: wire.Shifted{}, Also: []int{409}, serve: a.shiftAlias},
		{Method: "DELETE", Path: "/v1/functions/{name}/aliases/{alias}", Name: "removeAlias", Summary: "Take an alias away; its versions stay.",
			Answer: wire.AliasRemoved{}, Also: []int{409}, serve: a.removeAlias},
		{Method: "POST", Path: "/v1/functions/{name}/rollback", Name: "rollback", Summary: "Point an alias at the version that it was at before; or, with dryRun, say what that would change.",
			Body: wire.RollbackRequest{}, Answer: wire.Shifted{}, Also: []int{409}, serve: a.rollback},
		{Method: "POST", Path: "/v1/functions/{name}/start", Name: "startFunction", Summary: "Wait until an instance of a function is ready on this node, starting one if there is none; an error says why it does not start. The instance then waits for work, as any other.",
			Query: []param{{Name: "version", Type: "integer", About: "the number of one; by default live's"}}, Answer: wire.Started{}, Also: []int{503}, serve: a.startFunction},
		{Method: "PUT", Path: "/v1/functions/{name}/scale", Name: "scaleFunction", Summary: "Make a version like the one that is live with other bounds of its instances, and bring it to live as a deploy does.",
			Body: wire.ScaleRequest{}, Answer: wire.Deployed{}, Also: []int{409}, serve: a.scaleFunction},
		{Method: "GET", Path: "/v1/instances", Name: "listInstances", Summary: "Live instances of all functions on this node, and why the last ones were replaced that misbehaved.",
			Query: []param{{Name: "function", Type: "string", About: "of this function alone"}}, Answer: wire.InstanceList{}, serve: a.listInstances},
		{Method: "DELETE", Path: "/v1/functions/{name}", Name: "removeFunction", Summary: "Take a function away, with its versions, triggers and their progress.",
			Answer: wire.Removed{}, Also: []int{409}, serve: a.removeFunction},
		{Method: "GET", Path: "/v1/triggers", Name: "listTriggers", Summary: "The triggers of all functions.",
			Query: []param{{Name: "topic", Type: "string", About: "only those that listen to this topic"}}, Answer: wire.TriggerList{}, serve: a.listTriggers},
		{Method: "POST", Path: "/v1/triggers/{function}/{trigger}/pause", Name: "pauseTrigger", Summary: "Start no more runs of a trigger. Events wait in the log.",
			Answer: wire.TriggerState{}, Also: []int{409}, serve: a.pauseTrigger},
		{Method: "POST", Path: "/v1/triggers/{function}/{trigger}/resume", Name: "resumeTrigger", Summary: "Let a paused trigger go on where it stopped.",
			Answer: wire.TriggerState{}, Also: []int{409}, serve: a.resumeTrigger},
		{Method: "POST", Path: "/v1/triggers/{function}/{trigger}/seek", Name: "seekTrigger", Summary: "Let a trigger go on from another place in its topic; or, with dryRun, say what that would run again or skip.",
			Body: wire.Seek{}, Answer: wire.Sought{}, Also: []int{409}, serve: a.seekTrigger},
		{Method: "GET", Path: "/v1/triggers/{function}/{trigger}/keys", Name: "listKeys", Summary: "The keys of a trigger that are paused.", Answer: wire.KeyList{}, serve: a.listKeys},
		{Method: "POST", Path: "/v1/triggers/{function}/{trigger}/keys/pause", Name: "pauseKey", Summary: "Start no more runs of one key of a trigger. Its events wait; those of other keys run.",
			Body: wire.Key{}, Answer: wire.KeyList{}, Also: []int{409, 429}, serve: a.pauseKey},
		{Method: "POST", Path: "/v1/triggers/{function}/{trigger}/keys/resume", Name: "resumeKey", Summary: "Let a paused key go on where it stopped.",
			Body: wire.Key{}, Answer: wire.KeyList{}, Also: []int{409}, serve: a.resumeKey},
		{Method: "POST", Path: "/v1/functions/{name}/cache/purge", Name: "purgeCache", Summary: "Empty what the routes of a function keep of their answers, on every node; of one route or one path alone where it says so.",
			Body: wire.CachePurge{}, Answer: wire.CachePurged{}, serve: a.purgeCache},

		{Method: "GET", Path: "/v1/rollouts", Name: "listRollouts", Summary: "Roll-outs, those under way and those that are over, the newest first.", Answer: wire.RolloutList{}, serve: a.listRollouts},
		{Method: "GET", Path: "/v1/functions/{name}/rollout", Name: "getRollout", Summary: "The roll-out of a function that is under way, else the newest.",
			Query:  append(ofAlias, param{Name: "id", Type: "integer", About: "this one, whatever became of it"}),
			Answer: wire.Rollout{}, serve: a.getRollout},
		{Method: "POST", Path: "/v1/functions/{name}/rollout/pause", Name: "pauseRollout", Summary: "Take no more steps in a roll-out. Its gates are judged all the same.",
			Query: ofAlias, Answer: wire.Rollout{}, Also: []int{409}, serve: a.pauseRollout},
		{Method: "POST", Path: "/v1/functions/{name}/rollout/resume", Name: "resumeRollout", Summary: "Let a paused roll-out go on. The step that it is in begins anew.",
			Query: ofAlias, Answer: wire.Rollout{}, Also: []int{409}, serve: a.resumeRollout},
		{Method: "POST", Path: "/v1/functions/{name}/rollout/abort", Name: "abortRollout", Summary: "End a roll-out and give all the traffic back to the old version.",
			Query: ofAlias, Answer: wire.Rollout{}, Also: []int{409}, serve: a.abortRollout},
		{Method: "POST", Path: "/v1/functions/{name}/rollout/promote", Name: "promoteRollout", Summary: "End a roll-out and give all the traffic to the new version, for good.",
			Query: ofAlias, Answer: wire.Rollout{}, Also: []int{409}, serve: a.promoteRollout},

		{Method: "GET", Path: "/v1/schedules", Name: "listSchedules", Summary: "The schedules of all functions, when each ticked last and when it will next.", Answer: wire.ScheduleList{}, serve: a.listSchedules},

		{Method: "GET", Path: "/v1/delayed", Name: "listDelayed", Summary: "Events that wait until they are due, the next one first.",
			Query: []param{{Name: "limit", Type: "integer", About: "100, at most 1000"}}, Answer: wire.DelayedList{}, serve: a.listDelayed},
		{Method: "DELETE", Path: "/v1/delayed/{id}", Name: "cancelDelayed", Summary: "Take an event back that is not due yet.", Status: http.StatusNoContent, serve: a.cancelDelayed},

		{Method: "GET", Path: "/v1/images", Name: "listImages", Summary: "The container images that this node keeps: those of functions, and those that were pushed to its registry.", Answer: wire.ImageList{}, serve: a.listImages},
		{Method: "GET", Path: "/v1/images/pulls", Name: "listPulls", Summary: "The container images that are on their way to this node, and how far they are.", Answer: wire.ImagePullList{}, serve: a.listPulls},

		{Method: "GET", Path: "/v1/repositories", Name: "listRepositories", Summary: "The git repositories that were pushed to this node.", Answer: wire.RepositoryList{}, serve: a.listRepositories},
		{Method: "DELETE", Path: "/v1/repositories/{name}", Name: "removeRepository", Summary: "Take a git repository away. What was delivered from it stays.", Status: http.StatusNoContent, Also: []int{409}, serve: a.removeRepository},

		{Method: "HEAD", Path: "/v1/code/{digest}", Name: "hasCode", Summary: "Whether the node holds this code: 200, or 404.", serve: a.hasCode},
		{Method: "GET", Path: "/v1/code/{digest}", Name: "getCode", Summary: "The code of a digest, as a tar archive.", AnswerType: "application/x-tar", raw: a.getCode},
		{Method: "PUT", Path: "/v1/code/{digest}", Name: "putCode", Summary: "Upload a code directory as a tar archive. The digest is that of its canonical form.",
			BodyType: "application/x-tar", Answer: wire.CodeStored{}, Also: []int{413}, serve: a.putCode},

		{Method: "POST", Path: "/v1/builds", Name: "build", Summary: "Make code from a directory that was uploaded before. The answer is what the build says, one JSON object a line, and then the digest of what it made. A last line {\"error\": ...} says why it failed.",
			Body: wire.BuildRequest{}, Answer: wire.BuildProgress{}, AnswerType: ndjson, raw: a.build},
		{Method: "GET", Path: "/v1/builds", Name: "listBuilds", Summary: "Builds of the last week, those under way and those that are over, the newest first.",
			Query: []param{
				{Name: "function", Type: "string", About: "only those that make code for this function"},
				{Name: "outcome", Type: "string", About: "only of this outcome", Enum: function.BuildOutcomes()},
				{Name: "limit", Type: "integer", About: "so many; 20, at most 1000"},
			}, Answer: wire.BuildList{}, serve: a.listBuilds},
		{Method: "GET", Path: "/v1/builds/{id}", Name: "getBuild", Summary: "One build: of what and for whom, what came of it, and the versions that have that.", Answer: wire.Build{}, serve: a.getBuild},
		{Method: "GET", Path: "/v1/builds/{id}/log", Name: "getBuildLog", Summary: "What a build of this node said.", AnswerType: "text/plain", raw: a.getBuildLog},
		{Method: "GET", Path: "/v1/build-key", Name: "getBuildKey", Summary: "The public half of the key that this node signs with what it says of its builds.", Answer: wire.BuildKey{}, serve: a.getBuildKey},
		{Method: "GET", Path: "/v1/functions/{name}/provenance", Name: "getProvenance", Summary: "What the node that has built a version has signed of that: a DSSE envelope with an in-toto statement, a SLSA provenance.",
			Query: []param{{Name: "version", Type: "integer", About: "its number; the live one by default"}}, Answer: map[string]any{}, serve: a.getProvenance},
		{Method: "GET", Path: "/v1/functions/{name}/build", Name: "getVersionBuild", Summary: "The build of a version.",
			Query: []param{{Name: "version", Type: "integer", About: "its number; the live one by default"}}, Answer: wire.Build{}, serve: a.buildOf},
		{Method: "GET", Path: "/v1/functions/{name}/build-log", Name: "getVersionLog", Summary: "What the build of a version said, where this node has built it.",
			Query: []param{{Name: "version", Type: "integer", About: "its number; the live one by default"}}, AnswerType: "text/plain", raw: a.getVersionLog},

		{Method: "GET", Path: "/v1/topics", Name: "listTopics", Summary: "All topics, dalamb's own included.", Answer: wire.TopicList{}, serve: a.listTopics},
		{Method: "POST", Path: "/v1/topics", Name: "createTopic", Summary: "Make a topic.", Body: wire.TopicCreate{}, Answer: wire.Topic{}, Status: http.StatusCreated, Also: []int{409}, serve: a.createTopic},
		{Method: "GET", Path: "/v1/topics/{topic}", Name: "getTopic", Summary: "One topic and where its partitions begin and end.", Answer: wire.Topic{}, serve: a.getTopic},
		{Method: "PATCH", Path: "/v1/topics/{topic}", Name: "alterTopic", Summary: "Change a topic. Partitions may only grow.", Body: wire.TopicAlter{}, Answer: wire.Topic{}, serve: a.alterTopic},
		{Method: "DELETE", Path: "/v1/topics/{topic}", Name: "deleteTopic", Summary: "Remove a topic and its events. Not while a trigger listens to it.", Status: http.StatusNoContent, Also: []int{409}, serve: a.deleteTopic},

		{Method: "POST", Path: "/v1/forget", Name: "forget", Summary: "Forget the events of a key in sealed topics: their data can be read by nobody any more, and their dead letters are given up. Cannot be undone.",
			Body: wire.Forget{}, Answer: wire.Forgotten{}, Also: []int{409}, serve: a.forget},

		{Method: "POST", Path: "/v1/copies", Name: "startCopy", Summary: "Copy a topic to another one, of this log or of another, exactly once. A copy of the same topics goes on where one before it stopped.",
			Body: wire.CopyRequest{}, Answer: wire.Copy{}, Status: http.StatusAccepted, Also: []int{409}, serve: a.startCopy},
		{Method: "GET", Path: "/v1/copies", Name: "listCopies", Summary: "Copies of topics, those under way and those that are over, the newest first.", Answer: wire.CopyList{}, serve: a.listCopies},
		{Method: "GET", Path: "/v1/copies/{copy}", Name: "getCopy", Summary: "One copy and how far it is.", Answer: wire.Copy{}, serve: a.getCopy},
		{Method: "POST", Path: "/v1/copies/{copy}/cancel", Name: "cancelCopy", Summary: "End a copy before it is over. What it has copied stays.", Answer: wire.Copy{}, Also: []int{409}, serve: a.cancelCopy},
		{Method: "POST", Path: "/v1/copies/{copy}/positions", Name: "placeCopy", Summary: "Store where the triggers of the topic stand in the topic that it is copied to, so that triggers with start: group go on there.",
			Body: wire.CopyPositions{}, Answer: wire.CopyPlaced{}, Also: []int{409}, serve: a.placeCopy},

		{Method: "GET", Path: "/v1/tokens", Name: "listTokens", Summary: "The names of the tokens that can send events, beside the node's own, and the access keys of AWS's tools.", Answer: wire.TokenList{}, serve: a.listTokens},
		{Method: "GET", Path: "/v1/self", Name: "getSelf", Summary: "Who holds the token that the request shows, and what he may; see docs/access.md.", Answer: wire.Self{}, serve: getSelf},
		{Method: "POST", Path: "/v1/tokens", Name: "createToken", Summary: "Make a token that can send events to the gateway, and nothing else; or an access key for AWS's tools, see docs/aws.md. It is told once.",
			Body: wire.TokenCreate{}, Answer: wire.Token{}, Status: http.StatusCreated, Also: []int{409}, serve: a.createToken},
		{Method: "DELETE", Path: "/v1/tokens/{name}", Name: "removeToken", Summary: "End a token or an access key.", Status: http.StatusNoContent, serve: a.removeToken},

		{Method: "GET", Path: "/v1/events", Name: "streamEvents", Summary: "Events of a topic, oldest first, one JSON object a line. A last line {\"error\": ...} says what ended the stream early.",
			Query: []param{
				{Name: "topic", Type: "string", About: "events by default"},
				{Name: "partition", Type: "integer", About: "only this one"},
				{Name: "key", Type: "string", About: "only events of this key: of its partition, unless one is named"},
				{Name: "from", Type: "string", About: "earliest, latest, an offset, a time, or how long ago (15m); earliest by default, latest when following"},
				{Name: "filter", Type: "string", About: "a pattern in JSON; only events that match"},
				{Name: "follow", Type: "boolean", About: "go on with what is appended from now on"},
				{Name: "limit", Type: "integer", About: "end after so many events"},
			}, Answer: wire.EventAt{}, AnswerType: ndjson, Lasts: true, raw: a.streamEvents},
		{Method: "GET", Path: "/v1/events/newest", Name: "newestEvents", Summary: "The newest events of a topic, or of those that fit, the newest first. A search ends after 3 seconds with what it has found, and says how far back it has come.",
			Query: []param{
				{Name: "topic", Type: "string", About: "events by default"},
				{Name: "partition", Type: "integer", About: "only this one"},
				{Name: "key", Type: "string", About: "only events of this key: of its partition, unless one is named"},
				{Name: "filter", Type: "string", About: "a pattern in JSON; only events that match"},
				{Name: "since", Type: "string", About: "a time, or how long ago (15m): not what was appended before"},
				{Name: "before", Type: "string", About: "a time, or how long ago: only what was appended before"},
				{Name: "look", Type: "integer", About: "look at about so many events at most, 1 to 2000; absent: at as many as there is time for"},
				{Name: "limit", Type: "integer", About: "50 by default, at most 1000"},
				{Name: "older", Type: "string", About: "the older of the page before"},
			}, Answer: wire.NewestEvents{}, serve: a.newestEvents},
		{Method: "GET", Path: "/v1/events/{topic}/{partition}/{offset}", Name: "getEvent", Summary: "The event at one position.", Answer: wire.EventAt{}, serve: a.getEvent},

		{Method: "POST", Path: "/v1/patterns/try", Name: "tryPattern", Summary: "Which events of a stretch of a topic a pattern matches, and how that differs from a trigger's rule.",
			Body: wire.PatternTry{}, Answer: wire.PatternTried{}, serve: a.tryPattern},

		{Method: "GET", Path: "/v1/runs", Name: "listRuns", Summary: "Runs, newest first.",
			Query: append([]param{
				{Name: "function", Type: "string", About: "only of this function"},
				{Name: "trigger", Type: "string", About: "only of triggers of this name"},
				{Name: "state", Type: "string", About: "only in this state", Enum: runStates()},
				{Name: "env", Type: "string", About: "only of functions of this environment"},
				{Name: "event", Type: "string", About: "only of the event with this id"},
				{Name: "since", Type: "string", About: "a time, or how long ago (15m)"},
				{Name: "before", Type: "string", About: "a time, or how long ago"},
			}, page...), Answer: wire.RunList{}, serve: a.listRuns},
		{Method: "GET", Path: "/v1/run-counts", Name: "countRuns", Summary: "How many runs there were within the last 15 minutes, by trigger and state, and what they emitted.", Answer: wire.RunCounts{}, serve: a.countRuns},
		{Method: "GET", Path: "/v1/runs/{run}", Name: "getRun", Summary: "One run: its event, its attempts, what it emitted.", Answer: wire.RunDetail{}, serve: a.getRun},

		{Method: "POST", Path: "/v1/replays", Name: "startReplay", Summary: "Run a stretch of history again, beside the live trigger; or, with dryRun, say how much that is.",
			Body: wire.ReplayRequest{}, Answer: wire.Replay{}, Status: http.StatusAccepted, Also: []int{409, 429}, serve: a.startReplay},
		{Method: "GET", Path: "/v1/replays", Name: "listReplays", Summary: "Replays, those under way and those that are over, the newest first, without their differences.", Answer: wire.ReplayList{}, serve: a.listReplays},
		{Method: "GET", Path: "/v1/replays/{replay}", Name: "getReplay", Summary: "One replay and its report.", Answer: wire.Replay{}, serve: a.getReplay},
		{Method: "GET", Path: "/v1/replays/{replay}/runs", Name: "getReplayedRuns", Summary: "What came of each run of a replay, with the events that were captured; the first 1000, as far as they are kept.",
			Answer: wire.ReplayedRuns{}, serve: a.bounded(a.getReplayedRuns)},
		{Method: "POST", Path: "/v1/replays/{replay}/cancel", Name: "cancelReplay", Summary: "End a replay before it is over. Its report stays.", Answer: wire.Replay{}, Also: []int{409}, serve: a.cancelReplay},

		{Method: "GET", Path: "/v1/dead", Name: "listDeadLetters", Summary: "Dead letters, newest first.",
			Query: append([]param{
				{Name: "function", Type: "string", About: "only of this function"},
				{Name: "trigger", Type: "string", About: "only of triggers of this name"},
				{Name: "pattern", Type: "string", About: "a pattern in JSON; only those whose event matches"},
				{Name: "env", Type: "string", About: "only of functions of this environment"},
				{Name: "error", Type: "string", About: "only those whose last error has this text in it"},
				{Name: "since", Type: "string", About: "died at or after this time, or how long ago (15m)"},
				{Name: "before", Type: "string", About: "died before this time"},
			}, page...), Answer: wire.DeadList{}, serve: a.listDead},
		{Method: "GET", Path: "/v1/dead/{run}", Name: "getDeadLetter", Summary: "One dead letter, with its event and every attempt.", Answer: function.DeadLetter{}, serve: a.getDead},
		{Method: "POST", Path: "/v1/dead/redrive", Name: "redrive", Summary: "Run dead letters again, each for its own trigger alone.", Body: wire.Redrive{}, Answer: wire.RedriveStarted{}, Status: http.StatusAccepted, serve: a.redrive},
		{Method: "GET", Path: "/v1/dead/redrive/{job}", Name: "getRedrive", Summary: "How far a redrive is.", Answer: wire.RedriveState{}, serve: a.getRedrive},
		{Method: "POST", Path: "/v1/dead/{run}/edit", Name: "editDeadLetter", Summary: "Run a dead letter again with another event in the place of its own, for its trigger alone.",
			Body: wire.DeadEdit{}, Answer: wire.DeadEdited{}, Status: http.StatusAccepted, Also: []int{413}, serve: a.editDead},
		{Method: "POST", Path: "/v1/dead/discard", Name: "discard", Summary: "Give dead letters up. All of them, or none when one is not there.", Body: wire.Discard{}, Answer: wire.Discarded{}, serve: a.discard},

		{Method: "GET", Path: "/v1/logs", Name: "streamLogs", Summary: "What functions wrote to stdout and stderr, oldest first, one JSON object a line.",
			Query: []param{
				{Name: "function", Type: "string", About: "only of this function"},
				{Name: "version", Type: "integer", About: "only of this version"},
				{Name: "run", Type: "string", About: "only of this run"},
				{Name: "level", Type: "string", About: "only what is at least so serious; a line that names no level is info", Enum: function.LogLevels()},
				{Name: "text", Type: "string", About: "only with this text, in capitals or not"},
				{Name: "since", Type: "string", About: "written at or after this time, or how long ago (15m)"},
				{Name: "until", Type: "string", About: "written before this time"},
				{Name: "follow", Type: "boolean", About: "go on with what is written from now on"},
				{Name: "limit", Type: "integer", About: "the last so many lines; 1000, at most 100000"},
			}, Answer: function.LogLine{}, AnswerType: ndjson, Lasts: true, raw: a.streamLogs},

		{Method: "POST", Path: "/2015-03-31/functions/{name}/invocations", Name: "invoke", Summary: "Call a function as AWS Lambda's Invoke does. Headers X-Amz-Invocation-Type (RequestResponse, Event, DryRun) and X-Amz-Client-Context; errors in AWS's shapes.",
			Query:    []param{{Name: "Qualifier", Type: "string", About: "an alias, a version's number or $LATEST"}},
			BodyType: "application/json", AnswerType: "application/json", Also: []int{202, 204, 413, 429}, raw: a.invoke},
		{Method: "POST", Path: "/2021-11-15/functions/{name}/response-streaming-invocations", Name: "invokeStream", Summary: "Call a function as AWS Lambda's InvokeWithResponseStream does: what it answers comes while it answers, as messages of AWS's event stream. Headers X-Amz-Invocation-Type (RequestResponse, DryRun) and X-Amz-Client-Context; errors in AWS's shapes.",
			Query:    []param{{Name: "Qualifier", Type: "string", About: "an alias, a version's number or $LATEST"}},
			BodyType: "application/json", AnswerType: "application/vnd.amazon.eventstream", Also: []int{204, 413, 429}, raw: a.invokeStream},
	}, slices.Concat(a.valueRoutes(), a.questionRoutes(), a.auditRoutes(), a.hookRoutes(), a.healthRoutes(), a.alertRoutes(), a.usageRoutes(), a.serviceRoutes(), a.upstreamRoutes(), a.environmentRoutes(), a.quotaRoutes())...)
}

func runStates() []string {
	return []string{
		string(function.RunRetrying), string(function.RunSucceeded), string(function.RunDead),
		string(function.RunDiscarded), string(function.RunExpired),
	}
}
