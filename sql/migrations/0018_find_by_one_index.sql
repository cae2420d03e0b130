-- deliveries_finished finds the same rows, and in order. This one was asked how fast deliveries were made; counters answer that now.
drop index walhook.deliveries_finished_at;
