package aws

import (
	"net/http"
	"slices"

	"github.com/dalamb/dalamb/internal/access"
)

// lambdaService is what requests of AWS's Lambda API are signed for.
const lambdaService = "lambda"

// operation is one of AWS's Lambda API. AWS Lambda API reference, "Actions".
type operation struct {
	Name, Method, Path string
	Note               string // how it maps, or why it is not there
	Collection         bool   // also with a slash at its end
	Status             int    // of success; 0 = 200

	asks    access.Right // "" = see right
	max     int64        // bytes of its body; 0 = maxBody
	invokes bool         // it is the control API's own
	within  string       // operation that has the same method and path, and calls it; "" = there is none
	serve   func(l *Lambda, c *call) (any, error)
}

// Bounds of bodies, in bytes. AWS Lambda developer guide, "Lambda quotas": a request with an archive has 50 MB, which base64 makes a third larger.
const (
	maxBody    = 1 << 20
	maxPayload = 6 << 20
	maxUpload  = 70_167_211
)

// right is what an operation asks for.
func (o *operation) right() access.Right {
	switch {
	case o.asks != "":
		return o.asks
	case o.Method == http.MethodGet:
		return access.Read
	}
	return access.Deploy
}

// permit refuses whom an operation is not for.
func (o *operation) permit(who access.Actor) error {
	if err := who.May(o.right()); err != nil {
		return err
	}
	if slices.Contains(ofTenants(), o.Name) {
		return nil
	}
	return who.Shared()
}

func (o *operation) most() int64 {
	if o.max == 0 {
		return maxBody
	}
	return o.max
}

func (o *operation) status() int {
	if o.Status == 0 {
		return http.StatusOK
	}
	return o.Status
}

// Documented is what a reader of docs/aws.md is told of operations, those of which the same is to be said together.
type Documented struct {
	Names []string
	Note  string
	There bool
}

// Documentation lists all operations of AWS's Lambda API that are known, those that are there first.
func Documentation() []Documented {
	var all []Documented
	for _, o := range operations() {
		all = append(all, Documented{[]string{o.Name}, o.Note, o.invokes || o.serve != nil})
	}
	return documented(all)
}

// documented sorts operations for a reader, who is told of those that follow each other and are not there for one reason together.
func documented(all []Documented) []Documented {
	var there, not []Documented
	for _, d := range all {
		switch {
		case d.There:
			there = append(there, d)
		case len(not) > 0 && not[len(not)-1].Note == d.Note:
			last := &not[len(not)-1]
			last.Names = append(last.Names, d.Names...)
		default:
			not = append(not, d)
		}
	}
	return append(there, not...)
}

// operations are all that there are, and those of AWS's that are refused by name.
func operations() []operation {
	const functions = "/2015-03-31/functions"
	const (
		one       = functions + "/{name}"
		warmPath  = "/2019-09-30/functions/{name}/provisioned-concurrency"
		asyncPath = "/2019-09-25/functions/{name}/event-invoke-config"
		mappings  = "/2015-03-31/event-source-mappings"
		urlPath   = "/2021-10-31/functions/{name}/url"
	)
	return append([]operation{
		{Name: "CreateFunction", Method: "POST", Path: functions, Collection: true, Status: http.StatusCreated, max: maxUpload, serve: (*Lambda).createFunction,
			Note: "deploys version 1 and points `live` at it; `ZipFile` or `ImageUri`"},
		{Name: "UpdateFunctionCode", Method: "PUT", Path: one + "/code", max: maxUpload, serve: (*Lambda).updateCode,
			Note: "deploys a version with other code, by the function's `rollout` where it has one"},
		{Name: "UpdateFunctionConfiguration", Method: "PUT", Path: one + "/configuration", serve: (*Lambda).updateConfiguration,
			Note: "deploys a version with other settings; what AWS has no word for stays"},
		{Name: "GetFunction", Method: "GET", Path: one, serve: (*Lambda).getFunction, Note: "`Code.Location` is a link to a zip archive, good for ten minutes"},
		{Name: "GetFunctionConfiguration", Method: "GET", Path: one + "/configuration", serve: (*Lambda).getConfiguration, Note: "a version's settings; `$LATEST` is what `live` points at"},
		{Name: "ListFunctions", Method: "GET", Path: functions, Collection: true, serve: (*Lambda).listFunctions, Note: "functions that were deployed otherwise, too"},
		{Name: "DeleteFunction", Method: "DELETE", Path: one, Status: http.StatusNoContent, serve: (*Lambda).deleteFunction, Note: "removes the function; with a `Qualifier` the version that it names, where no alias, roll-out, replay, dead letter or waiting asynchronous call needs it"},
		{Name: "Invoke", Method: "POST", Path: one + "/invocations", max: maxPayload, invokes: true, Note: "`RequestResponse`, `Event` (by the log) and `DryRun`; `LogType` `Tail` with what was printed before the answer"},
		{Name: "InvokeWithResponseStream", Method: "POST", Path: "/2021-11-15/functions/{name}/response-streaming-invocations", max: maxPayload, invokes: true,
			Note: "`ExecutedVersion` of a function that streams is empty; `LogType` as for `Invoke`"},
		{Name: "PublishVersion", Method: "POST", Path: one + "/versions", Status: http.StatusCreated, serve: (*Lambda).publishVersion, Note: "each change is a version already: answers with the one that `live` points at"},
		{Name: "ListVersionsByFunction", Method: "GET", Path: one + "/versions", serve: (*Lambda).listVersions, Note: "`$LATEST`, and all that are kept"},
		{Name: "CreateAlias", asks: access.Shift, Method: "POST", Path: one + "/aliases", Status: http.StatusCreated, serve: (*Lambda).createAlias, Note: "an alias, with weights in whole parts of 100; not of `$LATEST`, which `live` is"},
		{Name: "UpdateAlias", asks: access.Shift, Method: "PUT", Path: one + "/aliases/{alias}", serve: (*Lambda).updateAlias, Note: "shifts it; `live` too, with all triggers and routes"},
		{Name: "GetAlias", Method: "GET", Path: one + "/aliases/{alias}", serve: (*Lambda).getAlias, Note: "an alias"},
		{Name: "ListAliases", Method: "GET", Path: one + "/aliases", serve: (*Lambda).listAliases, Note: "`live` among them"},
		{Name: "DeleteAlias", asks: access.Shift, Method: "DELETE", Path: one + "/aliases/{alias}", Status: http.StatusNoContent, serve: (*Lambda).deleteAlias, Note: "not `live`"},
		{Name: "ListTags", Method: "GET", Path: "/2017-03-31/tags/{resource}", serve: (*Lambda).listTags, Note: "those of a function"},
		{Name: "TagResource", Method: "POST", Path: "/2017-03-31/tags/{resource}", Status: http.StatusNoContent, serve: (*Lambda).tagResource, Note: "they make no version"},
		{Name: "UntagResource", Method: "DELETE", Path: "/2017-03-31/tags/{resource}", Status: http.StatusNoContent, serve: (*Lambda).untagResource, Note: "what is not there is taken away without a word, as on AWS"},
		{Name: "GetAccountSettings", Method: "GET", Path: "/2016-08-19/account-settings", Collection: true, serve: (*Lambda).getAccount, Note: "the node's `limits.instances`, and what there is"},
		{Name: "PutFunctionConcurrency", Method: "PUT", Path: "/2017-10-31/functions/{name}/concurrency", serve: (*Lambda).putConcurrency, Note: "`scale.max` and `scale.reserved`, of each node: a version more; not 0"},
		{Name: "GetFunctionConcurrency", Method: "GET", Path: "/2019-09-30/functions/{name}/concurrency", serve: (*Lambda).getConcurrency, Note: "`scale.reserved`"},
		{Name: "DeleteFunctionConcurrency", Method: "DELETE", Path: "/2017-10-31/functions/{name}/concurrency", Status: http.StatusNoContent, serve: (*Lambda).deleteConcurrency, Note: "the defaults of both"},
		{Name: "PutProvisionedConcurrencyConfig", Method: "PUT", Path: warmPath, Status: http.StatusAccepted, serve: (*Lambda).putProvisioned,
			Note: "instances that each node keeps ready, of a version or an alias: beside the manifest's `scale.min`, and without a version more"},
		{Name: "GetProvisionedConcurrencyConfig", Method: "GET", Path: warmPath, serve: (*Lambda).getProvisioned, Note: "how many this node has; `FAILED` says why they do not start, which is tried again"},
		{Name: "ListProvisionedConcurrencyConfigs", Method: "GET", Path: warmPath, within: "GetProvisionedConcurrencyConfig", serve: (*Lambda).listProvisioned, Note: "all of a function"},
		{Name: "DeleteProvisionedConcurrencyConfig", Method: "DELETE", Path: warmPath, Status: http.StatusNoContent, serve: (*Lambda).deleteProvisioned, Note: "what is there already goes when it has been idle, as others do"},
		{Name: "PutFunctionEventInvokeConfig", Method: "PUT", Path: asyncPath, serve: (*Lambda).putEventInvoke, Note: "`async` of the manifest; destinations are ARNs of functions, and `kafka://TOPIC`"},
		{Name: "UpdateFunctionEventInvokeConfig", Method: "POST", Path: asyncPath, serve: (*Lambda).updateEventInvoke, Note: "of these what is named"},
		{Name: "GetFunctionEventInvokeConfig", Method: "GET", Path: asyncPath, serve: (*Lambda).getEventInvoke, Note: "of the function; aliases and versions have none of their own"},
		{Name: "ListFunctionEventInvokeConfigs", Method: "GET", Path: asyncPath + "/list", serve: (*Lambda).listEventInvoke, Note: "one at most"},
		{Name: "DeleteFunctionEventInvokeConfig", Method: "DELETE", Path: asyncPath, Status: http.StatusNoContent, serve: (*Lambda).deleteEventInvoke, Note: "no `async`"},
		{Name: "CreateFunctionUrlConfig", Method: "POST", Path: urlPath, Status: http.StatusCreated, serve: (*Lambda).createURL, Note: "a route of the host `NAME.lambda-url.localhost` on the gateway; `AuthType` `NONE` alone"},
		{Name: "UpdateFunctionUrlConfig", Method: "PUT", Path: urlPath, serve: (*Lambda).updateURL, Note: "its `Cors`"},
		{Name: "GetFunctionUrlConfig", Method: "GET", Path: urlPath, serve: (*Lambda).getURL, Note: "answers stream where the function streams them, whatever was asked for"},
		{Name: "ListFunctionUrlConfigs", Method: "GET", Path: urlPath + "s", serve: (*Lambda).listURLs, Note: "one at most"},
		{Name: "DeleteFunctionUrlConfig", Method: "DELETE", Path: urlPath, Status: http.StatusNoContent, serve: (*Lambda).deleteURL, Note: "takes the route away"},
		{Name: "AddPermission", Method: "POST", Path: one + "/policy", Status: http.StatusCreated, serve: (*Lambda).addPermission, Note: "kept and told again; it neither allows nor forbids anything here"},
		{Name: "GetPolicy", Method: "GET", Path: one + "/policy", serve: (*Lambda).getPolicy, Note: "what was added"},
		{Name: "RemovePermission", Method: "DELETE", Path: one + "/policy/{statementId}", Status: http.StatusNoContent, serve: (*Lambda).removePermission, Note: "the same"},
		{Name: "CreateEventSourceMapping", Method: "POST", Path: mappings, Collection: true, Status: http.StatusAccepted, serve: (*Lambda).createMapping, Note: "a trigger on a topic of the node's log, with `payload: aws-kafka`; begins at once, one that is not `Enabled` waits from then on"},
		{Name: "UpdateEventSourceMapping", Method: "PUT", Path: mappings + "/{uuid}", Status: http.StatusAccepted, serve: (*Lambda).updateMapping, Note: "the trigger's settings; `Enabled` pauses it or lets it go on"},
		{Name: "GetEventSourceMapping", Method: "GET", Path: mappings + "/{uuid}", serve: (*Lambda).getMapping, Note: "triggers of manifests have ids, too"},
		{Name: "ListEventSourceMappings", Method: "GET", Path: mappings, Collection: true, serve: (*Lambda).listMappings, Note: "all triggers on topics"},
		{Name: "DeleteEventSourceMapping", Method: "DELETE", Path: mappings + "/{uuid}", Status: http.StatusAccepted, serve: (*Lambda).deleteMapping, Note: "takes the trigger away, with its progress"},
	}, absentOperations()...)
}
