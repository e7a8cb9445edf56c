-- The request that every mode gets, with the token in TOKEN. If RENEWS is yes or no, checks whether
-- each response carries a renewed token; the check costs time in wrk.
wrk.method = "POST"
wrk.path = "/documents/7"
wrk.body = '{"title":"On the Analytical Engine"}'
wrk.headers["Host"] = "localhost"
wrk.headers["Accept"] = "application/json"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer " .. os.getenv("TOKEN")

local renews = os.getenv("RENEWS")
if renews then
    function response(status, headers)
        local renewed = headers["x-refreshed-token"] and "yes" or "no"
        if status ~= 200 or renewed ~= renews then
            io.stderr:write("status ", status, ", renewed: ", renewed, "\n")
            os.exit(1)
        end
    end
end
