%% What the management API of $HOST answers to GET /api/definitions, into /backup/definitions.json: with this runtime's own
%% client, because no other is in every image. Prints what else came, and ends with 1.
Key = fun(Name) -> case file:read_file("/passwords/" ++ Name) of {ok, Text} -> string:trim(Text, trailing, "\n"); _ -> <<>> end end,
User = case os:getenv("LOGIN") of false -> Key("username"); Named -> list_to_binary(Named) end,
Password = Key("password"),
{ok, _} = application:ensure_all_started([inets, ssl]),
Host = os:getenv("HOST"),
{Scheme, Trust} = case os:getenv("TLS") of
  false -> {"http", []};
  Place -> {"https", [{verify, verify_peer}, case filelib:is_regular(filename:join(Place, "ca.crt")) of
      true -> {cacertfile, filename:join(Place, "ca.crt")};
      false -> {cacerts, public_key:cacerts_get()}
    end,
    {customize_hostname_check, [{match_fun, public_key:pkix_verify_hostname_match_fun(https)}]}]}
end,
Url = lists:concat([Scheme, "://", Host, ":", os:getenv("PORT"), "/api/definitions"]),
Login = "Basic " ++ base64:encode_to_string(<<User/binary, ":", Password/binary>>),
Options = [{connect_timeout, 5000}, {timeout, 600000}, {autoredirect, false}, {ssl, Trust}],  % without it authorities are looked for
case httpc:request(get, {Url, [{"authorization", Login}]}, Options, [{stream, "/backup/definitions.json"}]) of
  {ok, saved_to_file} -> halt(0);
  {ok, {{_, Status, _}, _, _}} -> io:format("status ~b", [Status]), halt(1);
  {error, _} -> io:format("no answer"), halt(1)
end.
