-- The script that the runner passes to wrk. Its argument is the number of requests sent at once.

function init(args)
    local depth = tonumber(args[1])
    -- Without a function `request`, wrk sends its own request and never calls this script.
    if depth > 1 then
        local batch = wrk.format():rep(depth)
        request = function()
            return batch
        end
    end
end

-- Prints one line: requests, microseconds, the 99th percentile of the latency in microseconds, errors.
function done(summary, latency)
    local errors = summary.errors
    local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
    print(("result %d %d %d %d"):format(summary.requests, summary.duration, latency:percentile(99), failed))
end
