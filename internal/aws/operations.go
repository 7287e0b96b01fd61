package aws

import "net/http"

// operation is one of AWS's Lambda API. AWS Lambda API reference, "Actions".
type operation struct {
	Name, Method, Path string
	Note               string // how it maps, or why it is not there
	Collection         bool   // also with a slash at its end
	Status             int    // of success; 0 = 200

	max     int64 // bytes of its body; 0 = maxBody
	invokes bool  // it is the control API's own
	serve   func(l *Lambda, c *call) (any, error)
}

// Bounds of bodies, in bytes. AWS Lambda developer guide, "Lambda quotas": a request with an archive has 50 MB, which base64 makes a third larger.
const (
	maxBody    = 1 << 20
	maxPayload = 6 << 20
	maxUpload  = 70_167_211
)

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

// Documentation lists all operations that are known, those that are there first.
func Documentation() []Documented {
	var there, not []Documented
	for _, o := range operations() {
		d := Documented{[]string{o.Name}, o.Note, o.invokes || o.serve != nil}
		switch {
		case d.There:
			there = append(there, d)
		case len(not) > 0 && not[len(not)-1].Note == o.Note:
			last := &not[len(not)-1]
			last.Names = append(last.Names, o.Name)
		default:
			not = append(not, d)
		}
	}
	return append(there, not...)
}

// operations are all that there are, and those of AWS's that are refused by name.
func operations() []operation {
	const functions = "/2015-03-31/functions"
	one := functions + "/{name}"
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
		{Name: "DeleteFunction", Method: "DELETE", Path: one, Status: http.StatusNoContent, serve: (*Lambda).deleteFunction, Note: "removes the function; a `Qualifier` is refused, `keep` lets old versions go"},
		{Name: "Invoke", Method: "POST", Path: one + "/invocations", max: maxPayload, invokes: true, Note: "`RequestResponse`, `Event` (by the log) and `DryRun`; no `LogType`"},
		{Name: "PublishVersion", Method: "POST", Path: one + "/versions", Status: http.StatusCreated, serve: (*Lambda).publishVersion, Note: "each change is a version already: answers with the one that `live` points at"},
		{Name: "ListVersionsByFunction", Method: "GET", Path: one + "/versions", serve: (*Lambda).listVersions, Note: "`$LATEST`, and all that are kept"},
		{Name: "CreateAlias", Method: "POST", Path: one + "/aliases", Status: http.StatusCreated, serve: (*Lambda).createAlias, Note: "an alias, with weights in whole parts of 100; not of `$LATEST`, which `live` is"},
		{Name: "UpdateAlias", Method: "PUT", Path: one + "/aliases/{alias}", serve: (*Lambda).updateAlias, Note: "shifts it; `live` too, with all triggers and routes"},
		{Name: "GetAlias", Method: "GET", Path: one + "/aliases/{alias}", serve: (*Lambda).getAlias, Note: "an alias"},
		{Name: "ListAliases", Method: "GET", Path: one + "/aliases", serve: (*Lambda).listAliases, Note: "`live` among them"},
		{Name: "DeleteAlias", Method: "DELETE", Path: one + "/aliases/{alias}", Status: http.StatusNoContent, serve: (*Lambda).deleteAlias, Note: "not `live`"},
		{Name: "ListTags", Method: "GET", Path: "/2017-03-31/tags/{resource}", serve: (*Lambda).listTags, Note: "those of a function"},
		{Name: "TagResource", Method: "POST", Path: "/2017-03-31/tags/{resource}", Status: http.StatusNoContent, serve: (*Lambda).tagResource, Note: "they make no version"},
		{Name: "UntagResource", Method: "DELETE", Path: "/2017-03-31/tags/{resource}", Status: http.StatusNoContent, serve: (*Lambda).untagResource, Note: "what is not there is taken away without a word, as on AWS"},
		{Name: "GetAccountSettings", Method: "GET", Path: "/2016-08-19/account-settings", Collection: true, serve: (*Lambda).getAccount, Note: "the node's `limits.instances`, and what there is"},
	}, absentOperations()...)
}
