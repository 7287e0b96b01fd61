package aws

import (
	"slices"

	"github.com/dalamb/dalamb/internal/access"
)

// eventsOperation is one of EventBridge's API. Amazon EventBridge API reference, "Actions".
type eventsOperation struct {
	Name string
	Note string // how it maps, or why it is not there

	asks  access.Right // "" = to administer, since buses, rules and archives are all functions'
	max   int64        // bytes of its body; 0 = maxBody
	serve func(b *EventBridge, c *eventsCall) (any, error)
}

// permit refuses whom an operation is not for.
func (o *eventsOperation) permit(who access.Actor) error {
	if !slices.Contains(eventsOfTenants(), o.Name) {
		if err := who.Shared(); err != nil {
			return err
		}
	}
	if o.asks != "" {
		return who.May(o.asks)
	}
	return who.Everywhere(access.Administer)
}

func (o *eventsOperation) most() int64 {
	if o.max == 0 {
		return maxBody
	}
	return o.max
}

// EventBridgeDocumentation lists all operations of EventBridge's API that are known, those that are there first.
func EventBridgeDocumentation() []Documented {
	var all []Documented
	for _, o := range eventsOperations() {
		all = append(all, Documented{[]string{o.Name}, o.Note, o.serve != nil})
	}
	return documented(all)
}

func eventsOperations() []eventsOperation {
	const (
		connections = "functions send what is to go elsewhere; there are no connections and API destinations"
		endpoints   = "all nodes of a log are equal; there are no endpoints that change between regions"
		partners    = "there are no partners; a webhook (docs/webhooks.md) lets others send events"
		permissions = "there are no policies: an access key may do everything, a topic's writers say who sends to it (docs/topics.md)"
		tags        = "functions have tags; buses and rules have none"
	)
	return []eventsOperation{
		{Name: "PutEvents", asks: access.Send, max: maxEntries, serve: (*EventBridge).putEvents, Note: "each entry is an event of the bus's topic, and durable when it is answered; entries that are refused say why"},
		{Name: "TestEventPattern", asks: access.Read, serve: (*EventBridge).testPattern, Note: "takes the patterns that a rule takes; the event is looked at as it is given"},
		{Name: "CreateEventBus", serve: (*EventBridge).createBus, Note: "makes the topic, with the defaults of every topic"},
		{Name: "DescribeEventBus", asks: access.Read, serve: (*EventBridge).describeBus, Note: "a topic"},
		{Name: "ListEventBuses", asks: access.Read, serve: (*EventBridge).listBuses, Note: "all topics that are not dalamb's own"},
		{Name: "DeleteEventBus", serve: (*EventBridge).deleteBus, Note: "deletes the topic and its events; not while a rule, an archive or a trigger is about it"},
		{Name: "PutRule", serve: (*EventBridge).putRule, Note: "`EventPattern` or `ScheduleExpression`; where it has targets, a version more of each"},
		{Name: "DescribeRule", asks: access.Read, serve: (*EventBridge).describeRule, Note: "a rule"},
		{Name: "ListRules", asks: access.Read, serve: (*EventBridge).listRules, Note: "rules alone, and no triggers of manifests"},
		{Name: "EnableRule", serve: (*EventBridge).enableRule, Note: "its triggers go on with the events that come from then on"},
		{Name: "DisableRule", serve: (*EventBridge).disableRule, Note: "pauses its triggers at once"},
		{Name: "DeleteRule", serve: (*EventBridge).deleteRule, Note: "a rule without targets"},
		{Name: "PutTargets", serve: (*EventBridge).putTargets, Note: "a trigger of the function: a version more. No `Input`, `InputPath` and `InputTransformer`"},
		{Name: "RemoveTargets", serve: (*EventBridge).removeTargets, Note: "takes the trigger away, with its progress: a version more"},
		{Name: "ListTargetsByRule", asks: access.Read, serve: (*EventBridge).listTargets, Note: "those whose trigger is there"},
		{Name: "ListRuleNamesByTarget", asks: access.Read, serve: (*EventBridge).listRuleNames, Note: "the same of a function"},
		{Name: "CreateArchive", serve: (*EventBridge).createArchive, Note: "a name for what the topic keeps from then on; `RetentionDays` is at most the topic's own retention"},
		{Name: "DescribeArchive", asks: access.Read, serve: (*EventBridge).describeArchive, Note: "without `EventCount` and `SizeBytes`, which nobody counts"},
		{Name: "ListArchives", asks: access.Read, serve: (*EventBridge).listArchives, Note: "the same"},
		{Name: "UpdateArchive", serve: (*EventBridge).updateArchive, Note: "what is named of it"},
		{Name: "DeleteArchive", serve: (*EventBridge).deleteArchive, Note: "the topic keeps what it keeps"},
		{Name: "StartReplay", serve: (*EventBridge).startReplay, Note: "a replay of each trigger that a rule has, by when events were stored; what functions return is published"},
		{Name: "DescribeReplay", asks: access.Read, serve: (*EventBridge).describeReplay, Note: "`dalamb replay show` tells more of each"},
		{Name: "ListReplays", asks: access.Read, serve: (*EventBridge).listReplays, Note: "the newest hundred that were started so"},
		{Name: "CancelReplay", serve: (*EventBridge).cancelReplay, Note: "those of its replays that are under way"},
		{Name: "CreateApiDestination", Note: connections},
		{Name: "CreateConnection", Note: connections},
		{Name: "DeauthorizeConnection", Note: connections},
		{Name: "DeleteApiDestination", Note: connections},
		{Name: "DeleteConnection", Note: connections},
		{Name: "DescribeApiDestination", Note: connections},
		{Name: "DescribeConnection", Note: connections},
		{Name: "ListApiDestinations", Note: connections},
		{Name: "ListConnections", Note: connections},
		{Name: "UpdateApiDestination", Note: connections},
		{Name: "UpdateConnection", Note: connections},
		{Name: "CreateEndpoint", Note: endpoints},
		{Name: "DeleteEndpoint", Note: endpoints},
		{Name: "DescribeEndpoint", Note: endpoints},
		{Name: "ListEndpoints", Note: endpoints},
		{Name: "UpdateEndpoint", Note: endpoints},
		{Name: "ActivateEventSource", Note: partners},
		{Name: "CreatePartnerEventSource", Note: partners},
		{Name: "DeactivateEventSource", Note: partners},
		{Name: "DeletePartnerEventSource", Note: partners},
		{Name: "DescribeEventSource", Note: partners},
		{Name: "DescribePartnerEventSource", Note: partners},
		{Name: "ListEventSources", Note: partners},
		{Name: "ListPartnerEventSourceAccounts", Note: partners},
		{Name: "ListPartnerEventSources", Note: partners},
		{Name: "PutPartnerEvents", Note: partners},
		{Name: "PutPermission", Note: permissions},
		{Name: "RemovePermission", Note: permissions},
		{Name: "ListTagsForResource", Note: tags},
		{Name: "TagResource", Note: tags},
		{Name: "UntagResource", Note: tags},
		{Name: "UpdateEventBus", Note: "dalamb topic alter changes a topic"},
	}
}
