"""OpenClaw's keys that are accepted and have no effect here: one table per section that we serve, no wildcards.

They are accepted so that an OpenClaw configuration loads unchanged (its reference:
https://docs.openclaw.ai/gateway/configuration-reference). `check` and the log at start name those that a file sets.
"""

GATEWAY = frozenset({
    "channelHealthCheckMinutes", "channelMaxRestartsPerHour", "channelStaleEventThresholdMinutes", "cliAgents",
    "handshakeTimeoutMs", "nodes", "portals", "publicOrigin", "push", "remote", "tailscale", "terminal", "tools",
    "webchat", "workspacePreviewMaxBytes",
})  # fmt: skip

CONTROL_UI = frozenset({
    "allowExternalEmbedUrls", "allowInsecureAuth", "automaticallyFetchFavicons", "basePath", "chatMessageMaxWidth",
    "communityInvite", "dangerouslyAllowHostHeaderOriginFallback", "dangerouslyDisableDeviceAuth", "embedSandbox",
    "environment", "experimental", "github", "root", "sessionObserver", "toolTitles",
})  # fmt: skip

AUTH = frozenset({"allowTailscale"})
TRUSTED_PROXY = frozenset({"cloudflareAccessOidc", "deviceAutoApprove"})
RELOAD = frozenset({"debounceMs", "deferralTimeoutMs"})
TLS = frozenset({"autoGenerate"})
CHAT_COMPLETIONS = frozenset({"maxBodyBytes", "maxImageParts", "maxTotalImageBytes"})
RESPONSES = frozenset({"maxBodyBytes"})

MODELS = frozenset({"bedrockDiscovery", "catalogRefresh", "pricing", "proxy"})
PROVIDER = frozenset({
    "agentRuntime", "localService",
})  # fmt: skip
MODEL = frozenset({"agentRuntime", "mediaInput", "metadataSource"})
COMPAT = frozenset({
    "appendOnlyRuntimeContext", "codeMode", "nativeWebSearchTool",
    "requiresOpenAiAnthropicToolPayload",
    "sendSessionAffinityHeaders", "sendSessionIdHeader", "supportsEagerToolInputStreaming",
    "supportsInstructions", "supportsLongCacheRetention", "supportsResponsesContinuation",
    "toolCallArgumentsEncoding",
})  # fmt: skip

PROFILES = frozenset({"cooldowns"})
PROFILE = frozenset({"displayName", "email"})

AGENTS = frozenset({"maxConcurrent"})
AGENT = frozenset({
    "additionalSystemPrompt", "agentDir", "agentRuntime", "authInheritance", "blockStreamingBreak",
    "blockStreamingChunk", "blockStreamingCoalesce", "blockStreamingDefault", "bootstrapPromptTruncationWarning",
    "cliBackends", "codeMode", "compaction", "contextInjection", "contextLimits", "contextPruning", "contextTokens",
    "cwd", "decisionModel", "description", "elevatedDefault", "embeddedAgent", "embeddedHarness", "embeddedPi",
    "envelopeElapsed", "envelopeTimestamp", "envelopeTimezone", "experimental", "fastModeDefault", "groupChat",
    "heartbeat", "humanDelay", "identity", "imageGenerationModel", "imageMaxDimensionPx", "imageModel",
    "imageQuality", "llm", "maxConcurrent", "mediaGenerationAutoProviderFallback", "mediaMaxMb", "mediaModels",
    "modelSelectionScope", "musicGenerationModel", "pdfMaxBytesMb", "pdfMaxMb", "pdfMaxPages", "pdfModel",
    "plugins", "promptOverlays", "reasoningDefault", "repoRoot", "runRetries", "runtime", "sandbox", "sessionStore",
    "silentReply", "silentReplyRewrite", "skills", "skillsLimits", "skipOptionalBootstrapFiles", "startupContext",
    "subagents", "timeFormat", "toolProgressDetail", "tts",
    "typingIntervalSeconds", "typingMode", "userTimezone", "utilityModel", "verboseDefault", "videoGenerationModel",
    "voiceModel",
})  # fmt: skip
MODEL_SETTINGS = frozenset({"agentRuntime", "codeMode", "pickerRuntimes", "streaming"})
PARAMS = frozenset({
    "anthropicCompactThreshold", "anthropicServerCompaction", "context1m", "fastAutoOnSeconds", "fastMode", "fast_mode",
    "openaiWsWarmup", "preserveThinking", "responsesCompactThreshold", "responsesServerCompaction", "streaming",
    "transport",
})  # fmt: skip
"""In `params` of any section: settings of OpenClaw's runtime, which are no fields of a request."""
MODEL_CHOICE = frozenset({"timeoutMs"})

MEMORY = frozenset({"backend", "citations", "isolation", "qmd"})
MEMORY_SEARCH = frozenset({
    "cache", "chunking", "documentInputType", "enabled", "experimental", "extraPaths", "fallback", "inputType", "local",
    "multimodal", "qmd", "query", "queryInputType", "rememberAcrossConversations", "sources", "store", "sync",
})  # fmt: skip

SESSION = frozenset({
    "agentToAgent", "dmScope", "groupScope", "identityLinks", "idleMinutes", "mainKey", "maxRecentTurns",
    "notifyOnCreate", "parentForkMaxTokens", "reset", "resetByChannel", "resetByType", "resetTriggers", "scope",
    "sendPolicy", "sharing", "store", "threadBindings", "transcriptRetentionDays", "typingIntervalSeconds",
    "typingMode",
})  # fmt: skip
MAINTENANCE = frozenset({
    "archiveDashboardAfter", "coldStorage", "highWaterBytes", "maxDiskBytes", "maxEntries", "mode", "preserveRecent",
    "pruneDays", "resetArchiveRetention", "rotateBytes",
})  # fmt: skip

MCP = frozenset({"apps", "sessionIdleTtlMs"})
MCP_SERVER = frozenset({
    "auth", "clientCert", "clientKey", "codex", "description", "oauth", "requester", "sslVerify",
    "supportsParallelToolCalls", "toolAnnotations",
})  # fmt: skip

TOOLS = frozenset({
    "agentToAgent", "alsoAllow", "byProvider", "codeMode", "elevated", "exec", "experimental", "fs", "github",
    "links", "loopDetection", "media", "message", "sandbox", "sessions", "sessions_spawn", "subagents", "swarm",
    "toolsBySender", "toolSearch", "updatePlan", "web",
})  # fmt: skip

LOGGING = frozenset({"audit", "file", "maxFileBytes", "redactPatterns", "redactSensitive"})

DIAGNOSTICS = frozenset({
    "cacheTrace", "flags", "memoryPressureSnapshot", "stuckSessionAbortMs", "stuckSessionWarnMs",
})  # fmt: skip
CAPTURE_CONTENT = frozenset({"toolInputs", "toolOutputs"})

OTEL = frozenset({
    "flushIntervalMs", "logs", "logsEndpoint", "logsExporter", "metrics", "metricsEndpoint",
})  # fmt: skip

TOP_LEVEL = frozenset({
    "accessGroups", "acp", "approvals", "attachments", "audio", "bindings", "broadcast", "browser", "canvas",
    "canvasHost", "channels", "cli", "cloudWorkers", "commands", "commitments", "crestodian", "cron", "discovery",
    "hooks", "media", "messages", "multiAgent", "nodeHost", "plugins", "proxy", "security", "skills",
    "surfaces", "talk", "transcripts", "tts", "ui", "update", "vault", "web", "worktrees",
})  # fmt: skip
"""Sections of OpenClaw that this gateway does not serve."""

BOOKKEEPING = frozenset({"$schema", "meta", "wizard"})
"""What OpenClaw's own tools write about the file; never reported."""
