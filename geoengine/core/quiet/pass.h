/* One pass over a batch: which fixes change nothing, noted in the tables of the state.

   A conservative twin of `track`, `scan` and `stays`: what it is not sure of it leaves to them. */

#ifndef GEOENGINE_PASS_H
#define GEOENGINE_PASS_H

#include "ground.h"

#define UNKNOWN 0 /* rows and slots: state/embedded/held/device_index.py */
#define LEFT 1
#define FIRST_ROW 2
#define IS_LOCATED 1 /* flags: state/embedded/held/people.py */
#define IS_OBSERVED 2
#define HAS_REFUSED 4
#define STAYS_MAX 3 /* columns.py */
#define NEVER_MS ((int64_t)1 << 62)
#define LAG_MAX_MS (((int64_t)1 << 31) - 1) /* stays.py */
#define DEGREE_MAX_M 111700.0               /* track.py */
#define SPEED_MAX_MPS 70.0                  /* units.py */
#define SEGMENT_MAX_M 10000.0
#define ACCURACY_MIN_M 3.0
#define ACCURACY_PER_SIGMA 1.5096
#define COARSE_SIGMAS 2.0
#define SURE 1e-6 /* what is nearer a threshold than this, as a normal quantile, is left */

/* --- one fix --------------------------------------------------------------------------------- */

#define AHEAD 12 /* fixes: so long before one is looked at its device's columns are asked for */
#ifdef __GNUC__
#define FETCH(address) __builtin_prefetch(address)
#else
#define FETCH(address) ((void)(address))
#endif

#define BARRED -1 /* nothing more of the device is taken in this pass */

typedef struct {
    const int32_t *slots; /* device_index.py */
    int64_t slot_mask, row_count;
    const int64_t *keys;
    double *places; /* the rest is last_fixes.py's: three numbers a row */
    int64_t *fix_ms;
    const int32_t *stay;
    const int8_t *suspect_count;
    const uint8_t *flags;
    uint32_t *seen;
    int32_t *mark; /* within a pass: the device's latest row + 1, or BARRED */
} Devices;

typedef struct {
    const int64_t *zone_prints, *dwell_ms; /* stays.py */
    int32_t *lag_ms;
    const uint8_t *is_alone;
} Stays;

static int32_t row_of(const Devices *devices, int64_t key)
{
    for (int64_t at = key & devices->slot_mask;; at = (at + 1) & devices->slot_mask) {
        int32_t row = devices->slots[at];
        if (row == UNKNOWN || row >= devices->row_count)
            return UNKNOWN;
        if (row != LEFT && devices->keys[row] == key)
            return row;
    }
}

static inline double sigma_m(double accuracy_m)
{
    return fmax(accuracy_m, ACCURACY_MIN_M) / ACCURACY_PER_SIGMA;
}

static inline double z_of(double away_m, double radius_m, double sigma)
{
    return (radius_m - sqrt(away_m * away_m + sigma * sigma)) / sigma;
}

static inline int64_t lag_ms_of(const Fix *fix)
{
    return fix->recv_ms > fix->at_ms ? fix->recv_ms - fix->at_ms : 0;
}

/* Whether a stay goes on with this fix, before any deadline: `stays.goes_on` less the zones. */
static int is_in_time(const Ground *ground, const Stays *stays, int32_t slot, const Fix *fix,
                      int64_t before_ms, int64_t now_ms)
{
    int64_t lag_ms = lag_ms_of(fix);
    int64_t lag_before_ms = stays->lag_ms[slot], dwell_ms = stays->dwell_ms[slot];
    int64_t until_ms = fix->at_ms, heard_ms = fix->recv_ms - lag_before_ms;
    if (heard_ms > until_ms)
        until_ms = heard_ms;
    if (now_ms - lag_ms + 1 > until_ms)
        until_ms = now_ms - lag_ms + 1;
    int is_freshened = before_ms + ground->fresh_min_ms < dwell_ms &&
                       dwell_ms <= fix->at_ms + ground->fresh_max_ms;
    return !is_freshened && dwell_ms >= until_ms && before_ms + ground->silence_ms >= until_ms &&
           lag_ms <= LAG_MAX_MS && (dwell_ms == NEVER_MS || lag_ms >= lag_before_ms) &&
           fix->at_ms + lag_ms >= before_ms + lag_before_ms;
}

/* Whether what the fix says of zones is nothing new: inside those stood in, into no other. */
static int is_no_news(const Ground *ground, const Stays *stays, int32_t slot, const Fix *fix)
{
    Pair pairs[PAIRS_MAX];
    int count = pairs_of(ground, fix, pairs), held = 0, stood = 0;
    if (count < 0 || is_wary_of_fix(&ground->wary[0], fix) || is_wary_of_fix(&ground->wary[1], fix))
        return 0;
    const int64_t *prints = slot < 0 ? NULL : &stays->zone_prints[slot * STAYS_MAX];
    for (int nth = 0; prints && nth < STAYS_MAX; nth++)
        stood += prints[nth] != 0;
    double sigma = sigma_m(fix->accuracy_m);
    for (int nth = 0; nth < count; nth++) {
        const Pair *pair = &pairs[nth];
        const Policy *policy = &ground->policies[ground->policy_of[pair->zone]];
        double away_m = pair->radius_m + pair->edge_m;
        if (!(pair->radius_m > COARSE_SIGMAS * sigma * (1.0 + SURE)))
            return 0;
        int is_own = 0;
        for (int of = 0; prints && of < STAYS_MAX; of++)
            is_own |= prints[of] != 0 && prints[of] == ground->prints[pair->zone];
        if (!is_own) {
            if (!(z_of(away_m, pair->radius_m, sigma) < policy->confirm_enter_z - SURE))
                return 0;
            continue;
        }
        double moat_m = fmax(policy->buffer_m, policy->buffer_per_accuracy * fix->accuracy_m);
        if (!(z_of(away_m, pair->radius_m + moat_m, sigma) > policy->confirm_leave_z + SURE))
            return 0;
        held++;
    }
    return held == stood;
}

/* Whether the way from the fix before is plausible, and cuts nothing. */
static int is_plain_way(const Ground *ground, const Fix *before, const Fix *fix)
{
    if (isnan(before->lon) || isnan(before->lat))
        return isnan(before->lon) && isnan(before->lat); /* only its time is known */
    double most_m = (fabs(fix->lon - before->lon) + fabs(fix->lat - before->lat)) * DEGREE_MAX_M;
    double seconds = (double)(fix->at_ms - before->at_ms) / 1000.0;
    if (!(most_m <= fmax(seconds, 1.0) * SPEED_MAX_MPS))
        return 0;
    if (fix->at_ms - before->at_ms > ground->cross_gap_ms || most_m < 0.9 * ground->cross_m)
        return 1;
    return most_m <= SEGMENT_MAX_M && !is_cut_in(ground, &ground->near, before, fix) &&
           !is_cut_in(ground, &ground->wary[0], before, fix) &&
           !is_cut_in(ground, &ground->wary[1], before, fix);
}

static int is_quiet(const Ground *ground, const Devices *devices, const Stays *stays, int32_t row,
                    const Fix *fix, int is_assumed, int64_t now_ms)
{
    uint8_t flags = devices->flags[row];
    int32_t slot = devices->stay[row];
    if (!(flags & IS_LOCATED) && !(is_assumed && !(flags & HAS_REFUSED)))
        return 0;
    if (devices->suspect_count[row] != 0 || (slot < 0 && flags & IS_OBSERVED))
        return 0;
    const double *place = &devices->places[3 * (int64_t)row];
    Fix before = {place[0], place[1], place[2], devices->fix_ms[row], 0};
    if (before.at_ms < 0 || fix->at_ms <= before.at_ms)
        return 0;
    if (slot >= 0 && !(stays->is_alone[slot] &&
                       is_in_time(ground, stays, slot, fix, before.at_ms, now_ms)))
        return 0;
    return is_plain_way(ground, &before, fix) && is_no_news(ground, stays, slot, fix);
}

/* --- a batch --------------------------------------------------------------------------------- */

typedef struct {
    int64_t count;
    const double *lon, *lat, *accuracy_m;
    const int64_t *at_ms, *recv_ms, *post_ix;
    int32_t *row; /* out: the device's row; negative once a fix has been dealt with */
} Batch;

/* Find a fix's device by its key; bar one whose fixes are not in order of post and time. */
static void find(const Devices *devices, const Batch *batch, int64_t ix, int64_t key)
{
    int32_t row = batch->row[ix] = row_of(devices, key);
    if (row < FIRST_ROW || devices->mark[row] == BARRED)
        return;
    int32_t before = devices->mark[row] - 1;
    int is_back = before >= 0 && (batch->post_ix[before] > batch->post_ix[ix] ||
                                  (batch->post_ix[before] == batch->post_ix[ix] &&
                                   batch->at_ms[ix] <= batch->at_ms[before]));
    devices->mark[row] = is_back ? BARRED : (int32_t)ix + 1;
}

/* Have a device's columns brought near: a table of a million is far from the processor. */
static inline void fetch(const Devices *devices, int32_t row)
{
    if (row < FIRST_ROW)
        return;
    FETCH(&devices->places[3 * (int64_t)row]);
    FETCH(&devices->fix_ms[row]);
    FETCH(&devices->stay[row]);
    FETCH(&devices->flags[row]);
    FETCH(&devices->seen[row]);
}

/* Note the quiet fixes of devices that have been found; how many they were. */
static int64_t note_all(const Ground *ground, const Devices *devices, const Stays *stays,
                        const Batch *batch, int is_assumed, int64_t now_ms, uint32_t turn)
{
    int64_t quiet = 0;
    for (int64_t ix = 0; ix < batch->count; ix++) {
        if (ix + AHEAD < batch->count)
            fetch(devices, batch->row[ix + AHEAD]);
        int32_t row = batch->row[ix];
        if (row < FIRST_ROW || devices->mark[row] == BARRED)
            continue;
        Fix fix = {batch->lon[ix], batch->lat[ix], batch->accuracy_m[ix], batch->at_ms[ix],
                   batch->recv_ms[ix]};
        if (!is_quiet(ground, devices, stays, row, &fix, is_assumed, now_ms)) {
            devices->mark[row] = BARRED; /* what else comes of the device counts after this one */
            continue;
        }
        double *place = &devices->places[3 * (int64_t)row];
        place[0] = fix.lon, place[1] = fix.lat, place[2] = fix.accuracy_m;
        devices->fix_ms[row] = fix.at_ms;
        devices->seen[row] = turn;
        if (devices->stay[row] >= 0)
            stays->lag_ms[devices->stay[row]] = (int32_t)lag_ms_of(&fix);
        batch->row[ix] = -row;
        quiet++;
    }
    return quiet;
}

#endif
