package api

import (
	"net/http"

	"github.com/dalamb/dalamb/internal/access"
)

// over says for which functions a route's right is asked.
type over int

const (
	nothing  over = iota // it is about none: whoever has the right may
	inPath               // that which its path names
	inServer             // those that its body names or selects: what serves it asks
	all                  // more than some: who has the right for some functions alone may not
)

// need is what a route asks of who sends a request.
type need struct {
	right access.Right
	over  over
}

// needs is what each route asks, by its name: the one place where that stands. A route without a line answers nobody.
func needs() map[string]need {
	read := need{access.Read, nothing}
	administer := need{access.Administer, all}
	return map[string]need{
		// What is, for whoever may look at all. No answer among them holds a secret's value or a token.
		"getOpenAPI": read, "getRoutesOpenAPI": read, "getNode": read, "listNodes": read, "getHealth": read, "getMachine": read, "getFunctionHealth": read,
		"listFunctions": read, "getFunction": read, "listVersions": read, "diffVersions": read, "listAliases": read, "listInstances": read,
		"listRollouts": read, "getRollout": read, "listSchedules": read, "listDelayed": read, "listKeys": read, "listTriggers": read,
		"listImages": read, "listPulls": read, "listRepositories": read, "hasCode": read, "getCode": read,
		"listBuilds": read, "getBuild": read, "getBuildLog": read, "getBuildKey": read, "getProvenance": read, "getVersionBuild": read, "getVersionLog": read,
		"listTopics": read, "getTopic": read, "listCopies": read, "getCopy": read, "listTokens": read, "getSelf": read,
		"streamEvents": read, "newestEvents": read, "getEvent": read, "tryPattern": read, "listRuns": read, "countRuns": read, "getRun": read, "streamLogs": read,
		"listReplays": read, "getReplay": read, "getReplayedRuns": read, "listDeadLetters": read, "getDeadLetter": read, "getRedrive": read,
		"listSecrets": read, "listConfig": read, "listHooks": read, "getHook": read, "listAlerts": read, "getAlert": read, "getUsage": read,
		"explainEvent": read, "exportTrace": read, "traceEvent": read, "getPast": read, "listChanges": read,
		"getAudit": read, "proveRecord": read, "proveGrowth": read, "listServices": read, "getService": read, "watch": read, "listUpstreams": read, "listEnvironments": read, "listQuotas": read,

		// What functions are.
		"putCode":        {access.Deploy, nothing},
		"build":          {access.Deploy, inServer},
		"deploy":         {access.Deploy, inServer},
		"release":        {access.Deploy, inServer},
		"scaleFunction":  {access.Deploy, inPath},
		"removeFunction": {access.Deploy, inPath},
		"setSecret":      {access.Deploy, inServer},
		"removeSecret":   {access.Deploy, inServer},
		"setConfig":      {access.Deploy, inServer},
		"removeConfig":   {access.Deploy, inServer},

		// Which version has the traffic.
		"shiftAlias":     {access.Shift, inPath},
		"removeAlias":    {access.Shift, inPath},
		"rollback":       {access.Shift, inPath},
		"pauseRollout":   {access.Shift, inPath},
		"resumeRollout":  {access.Shift, inPath},
		"abortRollout":   {access.Shift, inPath},
		"promoteRollout": {access.Shift, inPath},

		// Calls; and a start, which a call would make, too.
		"invoke":        {access.Call, inServer},
		"invokeStream":  {access.Call, inServer},
		"startFunction": {access.Call, inPath},

		// What functions do with their events.
		"pauseTrigger":       {access.Operate, inPath},
		"resumeTrigger":      {access.Operate, inPath},
		"seekTrigger":        {access.Operate, inPath},
		"pauseKey":           {access.Operate, inPath},
		"resumeKey":          {access.Operate, inPath},
		"purgeCache":         {access.Operate, inPath},
		"startReplay":        {access.Operate, inServer},
		"cancelReplay":       {access.Operate, inServer},
		"redrive":            {access.Operate, inServer},
		"editDeadLetter":     {access.Operate, inServer},
		"discard":            {access.Operate, inServer},
		"cancelDelayed":      {access.Operate, all},
		"registerInstance":   {access.Operate, all},
		"deregisterInstance": {access.Operate, all},

		// What all functions share, and who may what.
		"createTopic": {access.Administer, nothing}, "alterTopic": {access.Administer, inPath}, "deleteTopic": {access.Administer, inPath},
		"forget":    administer,
		"startCopy": administer, "cancelCopy": administer, "placeCopy": administer,
		"createToken": administer, "removeToken": administer,
		"setAlert": administer, "removeAlert": administer, "testAlert": administer,
		"setQuota": administer,
		"setHook":  administer, "removeHook": administer, "testHook": administer,
		"checkpoint":       administer, // a copy of all that there is
		"removeRepository": administer, "removeEnvironment": administer,
	}
}

// permit refuses a request whose sender may not what its route does.
func (n need) permit(r *http.Request) error {
	who := access.From(r.Context())
	switch n.over {
	case all:
		return who.Everywhere(n.right)
	case inPath:
		name := r.PathValue("name")
		if name == "" {
			name = r.PathValue("function")
		}
		if name == "" {
			name = r.PathValue("topic")
		}
		return who.Over(n.right, name)
	}
	return who.May(n.right)
}
