package aws

import (
	"context"
	"errors"

	"github.com/dalamb/dalamb/internal/access"
	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/function"
)

// ofTenants are the operations of AWS's Lambda API that answer who is there for one environment: they find functions in his view of the catalog alone, or are
// the control API's own, which sees to that. One that is not among them answers him nothing.
func ofTenants() []string {
	return []string{
		"CreateFunction", "UpdateFunctionCode", "UpdateFunctionConfiguration", "GetFunction", "GetFunctionConfiguration", "ListFunctions", "DeleteFunction",
		"Invoke", "InvokeWithResponseStream", "PublishVersion", "ListVersionsByFunction",
		"CreateAlias", "UpdateAlias", "GetAlias", "ListAliases", "DeleteAlias", "ListTags", "TagResource", "UntagResource", "GetAccountSettings",
		"PutFunctionConcurrency", "GetFunctionConcurrency", "DeleteFunctionConcurrency",
		"PutProvisionedConcurrencyConfig", "GetProvisionedConcurrencyConfig", "DeleteProvisionedConcurrencyConfig", "ListProvisionedConcurrencyConfigs",
		"PutFunctionEventInvokeConfig", "UpdateFunctionEventInvokeConfig", "GetFunctionEventInvokeConfig", "ListFunctionEventInvokeConfigs", "DeleteFunctionEventInvokeConfig",
		"CreateFunctionUrlConfig", "UpdateFunctionUrlConfig", "GetFunctionUrlConfig", "ListFunctionUrlConfigs", "DeleteFunctionUrlConfig",
		"AddPermission", "GetPolicy", "RemovePermission",
		"CreateEventSourceMapping", "UpdateEventSourceMapping", "GetEventSourceMapping", "ListEventSourceMappings", "DeleteEventSourceMapping",
	}
}

// eventsOfTenants are those of EventBridge's. Rules, archives and replays have their names in common with all of the installation, and are its matter.
func eventsOfTenants() []string {
	return []string{"PutEvents", "TestEventPattern", "DescribeEventBus", "ListEventBuses"}
}

// view is the catalog as who asks sees it.
func (l *Lambda) view(ctx context.Context) *catalog.View {
	view := l.o.Catalog.View()
	if env := access.From(ctx).Environment; env != "" {
		return view.Of(env)
	}
	return view
}

// discreet is an error without what is not for who asks. What is refused in AWS's words was made of his view, and stays.
func (l *Lambda) discreet(ctx context.Context, err error) error {
	if _, ok := errors.AsType[*refusal](err); ok {
		return err
	}
	return l.o.Discreet(ctx, err)
}

// brokers are those of the node's log that who asks is told of.
func (l *Lambda) brokers(ctx context.Context) []string {
	if access.From(ctx).Environment != "" {
		return nil
	}
	return l.o.Brokers
}

// ofEnvironment is a bus as who asks means it: the default one of who is there for one environment is that environment's. Another's is not there.
func (b bus) ofEnvironment(ctx context.Context) (bus, error) {
	who := access.From(ctx)
	if who.Environment != "" && b.topic == function.TopicEvents {
		b.topic = function.Full(who.Environment, function.TopicEvents)
	}
	if !who.Sees(b.topic) {
		return bus{}, noBus(b.name)
	}
	return b, nil
}
