package event

import "strings"

// Types of the events that dalamb itself writes: past tense, versioned, never reused for another meaning.
const (
	TypeFunctionDeployed = "dalamb.function.deployed.v1"
	TypeFunctionRemoved  = "dalamb.function.removed.v1"
	TypeVersionRemoved   = "dalamb.version.removed.v1"
	TypeAliasShifted     = "dalamb.alias.shifted.v1"
	TypeAliasRemoved     = "dalamb.alias.removed.v1"
	TypeTopicChanged     = "dalamb.topic.changed.v1"
	TypeTokenCreated     = "dalamb.token.created.v1"
	TypeTokenRemoved     = "dalamb.token.removed.v1"
	TypeAccessKeyCreated = "dalamb.accesskey.created.v1"
	TypeTenantKeyCreated = "dalamb.tenantkey.created.v1" // an access key for one environment
	TypeFunctionNoted    = "dalamb.function.noted.v1"
	TypeNoteChanged      = "dalamb.note.changed.v1"
	TypeTriggerPaused    = "dalamb.trigger.paused.v1"
	TypeTriggerResumed   = "dalamb.trigger.resumed.v1"
	TypeTriggerSought    = "dalamb.trigger.sought.v1"
	TypeKeyPaused        = "dalamb.key.paused.v1"
	TypeKeyResumed       = "dalamb.key.resumed.v1"
	TypeReplayStarted    = "dalamb.replay.started.v1"
	TypeReplayEnded      = "dalamb.replay.ended.v1"
	TypeCopyStarted      = "dalamb.copy.started.v1"
	TypeCopyEnded        = "dalamb.copy.ended.v1"
	TypeKeyForgotten     = "dalamb.key.forgotten.v1"
	TypeSecretChanged    = "dalamb.secret.changed.v1"
	TypeSecretRemoved    = "dalamb.secret.removed.v1"
	TypeConfigChanged    = "dalamb.config.changed.v1"
	TypeConfigRemoved    = "dalamb.config.removed.v1"
	TypeHookChanged      = "dalamb.hook.changed.v1"
	TypeHookRemoved      = "dalamb.hook.removed.v1"
	TypeAlertChanged     = "dalamb.alert.changed.v1"
	TypeAlertRemoved     = "dalamb.alert.removed.v1"
	TypeQuotaChanged     = "dalamb.quota.changed.v1"
	TypeRolloutStarted   = "dalamb.rollout.started.v1"
	TypeRolloutStepped   = "dalamb.rollout.stepped.v1"
	TypeRolloutPaused    = "dalamb.rollout.paused.v1"
	TypeRolloutResumed   = "dalamb.rollout.resumed.v1"
	TypeRolloutFailed    = "dalamb.rollout.failed.v1"   // a gate did not hold, and the alias went back
	TypeRolloutFinished  = "dalamb.rollout.finished.v1" // any other end

	TypeInvokeRequested         = "dalamb.invoke.requested.v1"
	TypeInvocationSucceeded     = "dalamb.invocation.succeeded.v1"
	TypeInvocationFailed        = "dalamb.invocation.failed.v1"
	TypeRunFinished             = "dalamb.run.finished.v1"
	TypeRunCancelled            = "dalamb.run.cancelled.v1" // by its caller; what becomes of the run is another event
	TypeBatchFinished           = "dalamb.batch.finished.v1"
	TypeAttemptFailed           = "dalamb.attempt.failed.v1"
	TypeDeadLetterCreated       = "dalamb.deadletter.created.v1"
	TypeDeadLetterResolved      = "dalamb.deadletter.resolved.v1"
	TypeRedriveRequested        = "dalamb.redrive.requested.v1"
	TypeRedriveFinished         = "dalamb.redrive.finished.v1"
	TypeReplayRunFinished       = "dalamb.replay.run.finished.v1"
	TypeReplayPartitionFinished = "dalamb.replay.partition.finished.v1"
	TypeShadowFinished          = "dalamb.shadow.finished.v1" // a copy of a live invocation has run
	TypeShadowDropped           = "dalamb.shadow.dropped.v1"  // copies were not made
	TypeRequestCompleted        = "dalamb.request.completed.v1"
	TypeLogWritten              = "dalamb.log.written.v1"
	TypeInstanceReplaced        = "dalamb.instance.replaced.v1"

	TypeBreakerOpened     = "dalamb.breaker.opened.v1" // a route's, on one node
	TypeBreakerHalfOpened = "dalamb.breaker.half-opened.v1"
	TypeBreakerClosed     = "dalamb.breaker.closed.v1"

	TypeAlertFired    = "dalamb.alert.fired.v1"
	TypeAlertTold     = "dalamb.alert.told.v1"
	TypeAlertResolved = "dalamb.alert.resolved.v1"

	TypeUsage          = "dalamb.usage.v1"           // what a function used in an hour
	TypeUsageCompleted = "dalamb.usage.completed.v1" // all that was used in an hour is told

	TypeResponseInvalid = "dalamb.response.invalid.v1" // a function's answer is not as the document of its route says

	TypeGitPushed    = "dalamb.git.pushed.v1"
	TypeImagePushed  = "dalamb.image.pushed.v1"
	TypeHookReceived = "dalamb.hook.received.v1"
	TypeHookFinished = "dalamb.hook.finished.v1"
	TypeHookReported = "dalamb.hook.reported.v1"
	TypeHookFailed   = "dalamb.hook.failed.v1" // the same fact as a hook.finished event, for who listens to the topic events
	TypeFollowFailed = "dalamb.follow.failed.v1"

	TypeCachePurged = "dalamb.cache.purged.v1"

	TypeCheckpointSigned = "dalamb.checkpoint.signed.v1"

	TypeBuildStarted  = "dalamb.build.started.v1"
	TypeBuildFinished = "dalamb.build.finished.v1"

	TypeServiceRegistered    = "dalamb.service.registered.v1"
	TypeServiceHealthChanged = "dalamb.service.healthchanged.v1" // or a sign of life that other nodes have to know of

	TypeRecord         = "dalamb.record.v1" // a record that is no CloudEvent; made at reading, never stored
	TypeScheduleTicked = "dalamb.schedule.ticked.v1"
)

// ControlTypes are those of the events in _dalamb.control.
func ControlTypes() []string {
	return []string{
		TypeFunctionDeployed, TypeFunctionRemoved, TypeVersionRemoved, TypeAliasShifted, TypeAliasRemoved, TypeTopicChanged, TypeTokenCreated, TypeTokenRemoved, TypeAccessKeyCreated, TypeTenantKeyCreated,
		TypeFunctionNoted, TypeNoteChanged,
		TypeTriggerPaused, TypeTriggerResumed, TypeTriggerSought, TypeKeyPaused, TypeKeyResumed, TypeReplayStarted, TypeReplayEnded,
		TypeCopyStarted, TypeCopyEnded, TypeKeyForgotten, TypeSecretChanged, TypeSecretRemoved, TypeConfigChanged, TypeConfigRemoved, TypeHookChanged, TypeHookRemoved, TypeAlertChanged, TypeAlertRemoved,
		TypeQuotaChanged,
		TypeRolloutStarted, TypeRolloutStepped, TypeRolloutPaused, TypeRolloutResumed, TypeRolloutFailed, TypeRolloutFinished,
	}
}

// Reserved says that only dalamb may write events of this type.
func Reserved(typ string) bool {
	return strings.HasPrefix(typ, "dalamb.")
}
