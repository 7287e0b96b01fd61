package aws

// absentOperations are the operations of AWS's API that are refused by name, each with what there is instead.
func absentOperations() []operation {
	const (
		capacity  = "there are no capacity providers; a node's machine is its capacity"
		durable   = "there are no durable executions"
		layers    = "there are no layers; what one holds goes into the directory opt of the archive"
		older     = "AWS gave it up for Invoke"
		recursion = "an event's causes are counted always: docs/delivery.md"
		runtimes  = "runtimes are the machine's own, or the image's"
		scaling   = "the manifest's scale bounds instances"
		signing   = "code is not signed by AWS; docs/builds.md says how builds are"
	)
	return []operation{
		{Name: "CreateCapacityProvider", Method: "POST", Path: "/2025-11-30/capacity-providers", Collection: true, Note: capacity},
		{Name: "DeleteCapacityProvider", Method: "DELETE", Path: "/2025-11-30/capacity-providers/{capacityProviderName}", Note: capacity},
		{Name: "GetCapacityProvider", Method: "GET", Path: "/2025-11-30/capacity-providers/{capacityProviderName}", Note: capacity},
		{Name: "ListCapacityProviders", Method: "GET", Path: "/2025-11-30/capacity-providers", Collection: true, Note: capacity},
		{Name: "ListFunctionVersionsByCapacityProvider", Method: "GET", Path: "/2025-11-30/capacity-providers/{capacityProviderName}/function-versions", Note: capacity},
		{Name: "UpdateCapacityProvider", Method: "PUT", Path: "/2025-11-30/capacity-providers/{capacityProviderName}", Note: capacity},
		{Name: "CheckpointDurableExecution", Method: "POST", Path: "/2025-12-01/durable-executions/{durableExecutionArn}/checkpoint", Note: durable},
		{Name: "GetDurableExecution", Method: "GET", Path: "/2025-12-01/durable-executions/{durableExecutionArn}", Note: durable},
		{Name: "GetDurableExecutionHistory", Method: "GET", Path: "/2025-12-01/durable-executions/{durableExecutionArn}/history", Note: durable},
		{Name: "GetDurableExecutionState", Method: "GET", Path: "/2025-12-01/durable-executions/{durableExecutionArn}/state", Note: durable},
		{Name: "ListDurableExecutionsByFunction", Method: "GET", Path: "/2025-12-01/functions/{name}/durable-executions", Note: durable},
		{Name: "SendDurableExecutionCallbackFailure", Method: "POST", Path: "/2025-12-01/durable-execution-callbacks/{callbackId}/fail", Note: durable},
		{Name: "SendDurableExecutionCallbackHeartbeat", Method: "POST", Path: "/2025-12-01/durable-execution-callbacks/{callbackId}/heartbeat", Note: durable},
		{Name: "SendDurableExecutionCallbackSuccess", Method: "POST", Path: "/2025-12-01/durable-execution-callbacks/{callbackId}/succeed", Note: durable},
		{Name: "StopDurableExecution", Method: "POST", Path: "/2025-12-01/durable-executions/{durableExecutionArn}/stop", Note: durable},
		{Name: "AddLayerVersionPermission", Method: "POST", Path: "/2018-10-31/layers/{layerName}/versions/{versionNumber}/policy", Note: layers},
		{Name: "DeleteLayerVersion", Method: "DELETE", Path: "/2018-10-31/layers/{layerName}/versions/{versionNumber}", Note: layers},
		{Name: "GetLayerVersion", Method: "GET", Path: "/2018-10-31/layers/{layerName}/versions/{versionNumber}", Note: layers},
		{Name: "GetLayerVersionPolicy", Method: "GET", Path: "/2018-10-31/layers/{layerName}/versions/{versionNumber}/policy", Note: layers},
		{Name: "ListLayerVersions", Method: "GET", Path: "/2018-10-31/layers/{layerName}/versions", Note: layers},
		{Name: "ListLayers", Method: "GET", Path: "/2018-10-31/layers", Collection: true, Note: layers},
		{Name: "PublishLayerVersion", Method: "POST", Path: "/2018-10-31/layers/{layerName}/versions", Note: layers},
		{Name: "RemoveLayerVersionPermission", Method: "DELETE", Path: "/2018-10-31/layers/{layerName}/versions/{versionNumber}/policy/{statementId}", Note: layers},
		{Name: "InvokeAsync", Method: "POST", Path: "/2014-11-13/functions/{name}/invoke-async", Note: older},
		{Name: "GetFunctionRecursionConfig", Method: "GET", Path: "/2024-08-31/functions/{name}/recursion-config", Note: recursion},
		{Name: "PutFunctionRecursionConfig", Method: "PUT", Path: "/2024-08-31/functions/{name}/recursion-config", Note: recursion},
		{Name: "GetRuntimeManagementConfig", Method: "GET", Path: "/2021-07-20/functions/{name}/runtime-management-config", Note: runtimes},
		{Name: "PutRuntimeManagementConfig", Method: "PUT", Path: "/2021-07-20/functions/{name}/runtime-management-config", Note: runtimes},
		{Name: "GetFunctionScalingConfig", Method: "GET", Path: "/2025-11-30/functions/{name}/function-scaling-config", Note: scaling},
		{Name: "PutFunctionScalingConfig", Method: "PUT", Path: "/2025-11-30/functions/{name}/function-scaling-config", Note: scaling},
		{Name: "CreateCodeSigningConfig", Method: "POST", Path: "/2020-04-22/code-signing-configs", Collection: true, Note: signing},
		{Name: "DeleteCodeSigningConfig", Method: "DELETE", Path: "/2020-04-22/code-signing-configs/{codeSigningConfigArn}", Note: signing},
		{Name: "DeleteFunctionCodeSigningConfig", Method: "DELETE", Path: "/2020-06-30/functions/{name}/code-signing-config", Note: signing},
		{Name: "GetCodeSigningConfig", Method: "GET", Path: "/2020-04-22/code-signing-configs/{codeSigningConfigArn}", Note: signing},
		{Name: "GetFunctionCodeSigningConfig", Method: "GET", Path: "/2020-06-30/functions/{name}/code-signing-config", Note: signing},
		{Name: "ListCodeSigningConfigs", Method: "GET", Path: "/2020-04-22/code-signing-configs", Collection: true, Note: signing},
		{Name: "ListFunctionsByCodeSigningConfig", Method: "GET", Path: "/2020-04-22/code-signing-configs/{codeSigningConfigArn}/functions", Note: signing},
		{Name: "PutFunctionCodeSigningConfig", Method: "PUT", Path: "/2020-06-30/functions/{name}/code-signing-config", Note: signing},
		{Name: "UpdateCodeSigningConfig", Method: "PUT", Path: "/2020-04-22/code-signing-configs/{codeSigningConfigArn}", Note: signing},
	}
}
