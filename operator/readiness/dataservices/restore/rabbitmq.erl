%% Inside a server that boots with definitions.json: counts, by the sorts and fields of sorts.json, what that says and what
%% the server holds afterwards, into told.json and found.json. Without a result the server ends.
In = fun(Name) -> filename:join(os:getenv("HELD"), Name) end,
Read = fun(Name) -> {ok, Text} = file:read_file(In(Name)), rabbit_json:decode(Text) end,
Write = fun(Name, Result) -> ok = file:write_file(In(Name), rabbit_json:encode(Result)) end,

%% The same for equal JSON: of an object, whatever its order; an empty one is an empty list to some releases.
Plain = fun
  Plain(Object) when map_size(Object) > 0 -> {[{K, Plain(V)} || {K, V} <- lists:sort(maps:to_list(Object))]};
  Plain(Object) when is_map(Object) -> [];
  Plain(List) when is_list(List) -> lists:map(Plain, List);
  Plain(Value) -> Value
end,

%% What a server makes for itself is no definition of anybody's, and another release makes other.
Own = [<<"cluster_name">>, <<"cluster_tags">>, <<"internal_cluster_id">>],
Rows = fun
  (<<"global_parameters">> = Sort, Document) -> [Row || #{<<"name">> := N} = Row <- maps:get(Sort, Document, []), not lists:member(N, Own)];
  (Sort, Document) -> maps:get(Sort, Document, [])
end,

%% A queue that goes by itself when nobody uses it may be gone before it is counted, and its bindings with it.
Brief = fun(Document) ->
  Policies = Rows(<<"policies">>, Document) ++
    [Value#{<<"vhost">> => V} || #{<<"component">> := <<"operator_policy">>, <<"vhost">> := V, <<"value">> := Value} <- Rows(<<"parameters">>, Document)],
  Expiring = [{V, P} || #{<<"vhost">> := V, <<"pattern">> := P, <<"definition">> := #{<<"expires">> := _}} <- Policies],
  maps:from_list([{{V, N}, true} || #{<<"vhost">> := V, <<"name">> := N, <<"arguments">> := A} <- Rows(<<"queues">>, Document),
    maps:is_key(<<"x-expires">>, A) orelse
      lists:any(fun({Of, P}) -> Of =:= V andalso re:run(N, P, [{capture, none}]) =:= match end, Expiring)])
end,

Count = fun(Document, Sorts) ->
  Gone = Brief(Document),
  Goes = fun
    (<<"queues">>, #{<<"vhost">> := V, <<"name">> := N}) -> maps:is_key({V, N}, Gone);
    (<<"bindings">>, #{<<"vhost">> := V, <<"destination_type">> := <<"queue">>, <<"destination">> := N}) -> maps:is_key({V, N}, Gone);
    (_, _) -> false
  end,
  Split = [{S, Fields, lists:partition(fun(Row) -> Goes(S, Row) end, Rows(S, Document))} || {S, Fields} <- maps:to_list(Sorts)],
  Lasting = lists:sort([{S, [Plain(maps:get(F, Row, null)) || F <- Fields]} || {S, Fields, {_, Stay}} <- Split, Row <- Stay]),
  #{
    tool => iolist_to_binary(["rabbitmq-server ", rabbit_misc:version()]),
    users => length(maps:get(<<"users">>, Document, [])),
    tallies => [#{name => S, count => length(Go) + length(Stay), volatile => length(Go)}
      || {S, _, {Go, Stay}} <- lists:sort(Split), S =/= <<"users">>, Go ++ Stay =/= []],
    indexes => string:lowercase(binary:encode_hex(crypto:hash(sha256, io_lib:format("~w", [Lasting]))))
  }
end,

spawn(fun() ->
  try
    ok = rabbit:await_startup(node(), false, infinity),
    Sorts = Read("sorts.json"),
    Write("told.json", Count(Read("definitions.json"), Sorts)),
    Write("found.json", Count(rabbit_json:decode(rabbit_json:encode(rabbit_definitions:all_definitions())), Sorts)),
    ok = file:write_file(In("counted"), "")
  catch
    Class:_ -> io:format(standard_error, "what this server holds cannot be counted: ~w~n", [Class]), halt(1)
  end
end).
