/* geoengine.core.quiet._quiet: the pass over a batch, as Python calls it.

   Tables belong to the caller and are written in place; nothing is allocated for a batch. The sizes
   of all arrays are checked once a batch; what they hold is the caller's word. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "pass.h"

typedef struct { Py_buffer of[20]; int count; } Views; /* as many as a Ground or a batch has */

/* One array of the caller's: contiguous, of items of this size. NULL with an error set if not. */
static void *view(Views *views, PyObject *array, Py_ssize_t item_bytes, int flags,
                  Py_ssize_t *items)
{
    if (views->count == (int)(sizeof views->of / sizeof *views->of)) {
        PyErr_SetString(PyExc_SystemError, "too many arrays");
        return NULL;
    }
    Py_buffer *buffer = &views->of[views->count];
    if (PyObject_GetBuffer(array, buffer, PyBUF_C_CONTIGUOUS | flags) < 0)
        return NULL;
    views->count++;
    if (buffer->itemsize != item_bytes) {
        PyErr_Format(PyExc_TypeError, "array %d holds items of %zd bytes, not %zd",
                     views->count, buffer->itemsize, item_bytes);
        return NULL;
    }
    if (items)
        *items = buffer->len / item_bytes;
    return buffer->buf;
}

static void release(Views *views)
{
    while (views->count)
        PyBuffer_Release(&views->of[--views->count]);
}

static int refuse(const char *what)
{
    PyErr_SetString(PyExc_ValueError, what);
    return -1;
}

#define SAME(name, items, wanted) \
    if ((items) != (wanted)) { \
        PyErr_Format(PyExc_ValueError, "%s: %zd items, not %zd", name, items, wanted); \
        return -1; \
    }

static int view_devices(Views *views, PyObject *given, Devices *devices)
{
    PyObject *of[9];
    Py_ssize_t slots, keys, places, times, stays, counts, flags, seen, marks;
    if (!PyArg_ParseTuple(given, "OOOOOOOOO;nine columns of devices", &of[0], &of[1], &of[2],
                          &of[3], &of[4], &of[5], &of[6], &of[7], &of[8]))
        return -1;
    if (!(devices->slots = view(views, of[0], 4, 0, &slots)) ||
        !(devices->keys = view(views, of[1], 8, 0, &keys)) ||
        !(devices->places = view(views, of[2], 8, PyBUF_WRITABLE, &places)) ||
        !(devices->fix_ms = view(views, of[3], 8, PyBUF_WRITABLE, &times)) ||
        !(devices->stay = view(views, of[4], 4, 0, &stays)) ||
        !(devices->suspect_count = view(views, of[5], 1, 0, &counts)) ||
        !(devices->flags = view(views, of[6], 1, 0, &flags)) ||
        !(devices->seen = view(views, of[7], 4, PyBUF_WRITABLE, &seen)) ||
        !(devices->mark = view(views, of[8], 4, PyBUF_WRITABLE, &marks)))
        return -1;
    if (slots < 1 || slots & (slots - 1))
        return refuse("slots: not a power of two");
    devices->slot_mask = slots - 1;
    SAME("places", places, 3 * times)
    SAME("stay", stays, times)
    SAME("suspect_count", counts, times)
    SAME("flags", flags, times)
    SAME("seen", seen, times)
    SAME("mark", marks, times)
    if (times < FIRST_ROW)
        return refuse("fix_ms: no row for the unknown");
    devices->row_count = keys < times ? keys : times;
    return 0;
}

static int view_batch(Views *views, PyObject *given, Batch *batch, PyObject **ids)
{
    PyObject *of[7];
    Py_ssize_t items[7];
    if (!PyArg_ParseTuple(given, "O!OOOOOOO;eight columns of a batch", &PyList_Type, ids,
                          &of[0], &of[1], &of[2], &of[3], &of[4], &of[5], &of[6]))
        return -1;
    if (!(batch->lon = view(views, of[0], 8, 0, &items[0])) ||
        !(batch->lat = view(views, of[1], 8, 0, &items[1])) ||
        !(batch->accuracy_m = view(views, of[2], 8, 0, &items[2])) ||
        !(batch->at_ms = view(views, of[3], 8, 0, &items[3])) ||
        !(batch->recv_ms = view(views, of[4], 8, 0, &items[4])) ||
        !(batch->post_ix = view(views, of[5], 8, 0, &items[5])) ||
        !(batch->row = view(views, of[6], 4, PyBUF_WRITABLE, &items[6])))
        return -1;
    batch->count = PyList_GET_SIZE(*ids);
    for (int nth = 0; nth < 7; nth++)
        SAME("batch", items[nth], batch->count)
    return 0;
}

static int view_stays(Views *views, PyObject *given, Stays *stays)
{
    PyObject *of[4];
    Py_ssize_t prints, dwells, lags, alone;
    if (!PyArg_ParseTuple(given, "OOOO;four columns of stays", &of[0], &of[1], &of[2], &of[3]))
        return -1;
    if (!(stays->zone_prints = view(views, of[0], 8, 0, &prints)) ||
        !(stays->dwell_ms = view(views, of[1], 8, 0, &dwells)) ||
        !(stays->lag_ms = view(views, of[2], 4, PyBUF_WRITABLE, &lags)) ||
        !(stays->is_alone = view(views, of[3], 1, 0, &alone)))
        return -1;
    SAME("zone_prints", prints, STAYS_MAX * dwells)
    SAME("lag_ms", lags, dwells)
    SAME("is_alone", alone, dwells)
    return 0;
}

typedef struct {
    PyObject_HEAD
    Views views;
    Ground ground;
    int is_made;
} GroundObject;

/* Bar these rows; -1 with an error set where one is no number. */
static int bar_all(const Devices *devices, PyObject *rows)
{
    for (Py_ssize_t ix = 0; ix < PyList_GET_SIZE(rows); ix++) {
        Py_ssize_t row = PyLong_AsSsize_t(PyList_GET_ITEM(rows, ix));
        if (row == -1 && PyErr_Occurred())
            return -1;
        if (row >= FIRST_ROW && row < devices->row_count)
            devices->mark[row] = BARRED;
    }
    return 0;
}

/* Lift every bar and forget every mark, also where the pass was broken off with an error set. */
static void unmark_all(const Devices *devices, const Batch *batch, PyObject *barred)
{
    for (int64_t ix = 0; ix < batch->count; ix++)
        devices->mark[abs(batch->row[ix])] = 0;
    for (Py_ssize_t ix = 0; ix < PyList_GET_SIZE(barred); ix++) {
        PyObject *item = PyList_GET_ITEM(barred, ix);
        int overflow = 0;
        long long row = PyLong_Check(item) ? PyLong_AsLongLongAndOverflow(item, &overflow) : -1;
        if (row >= FIRST_ROW && row < devices->row_count)
            devices->mark[row] = 0;
    }
}

static int find_all(const Devices *devices, const Batch *batch, PyObject *ids)
{
    int64_t keys[AHEAD]; /* a few at a time: their slots are on the way when they are read */
    for (int64_t begin = 0; begin < batch->count; begin += AHEAD) {
        int64_t end = begin + AHEAD < batch->count ? begin + AHEAD : batch->count;
        for (int64_t ix = begin; ix < end; ix++) {
            keys[ix - begin] = PyObject_Hash(PyList_GET_ITEM(ids, ix));
            if (keys[ix - begin] == -1 && PyErr_Occurred())
                return -1;
            FETCH(&devices->slots[keys[ix - begin] & devices->slot_mask]);
        }
        for (int64_t ix = begin; ix < end; ix++)
            find(devices, batch, ix, keys[ix - begin]);
    }
    return 0;
}

PyDoc_STRVAR(note_doc,
"note(devices, stays, batch, barred, is_assumed, now_ms, turn) -> int\n--\n\n"
"Note the quiet fixes of a batch in the tables; how many they were.");

static PyObject *ground_note(GroundObject *self, PyObject *args)
{
    PyObject *of_devices, *of_stays, *of_batch, *barred, *ids;
    int is_assumed;
    long long now_ms, noted = -1;
    unsigned int turn;
    if (!PyArg_ParseTuple(args, "O!O!O!O!pLI:note", &PyTuple_Type, &of_devices, &PyTuple_Type,
                          &of_stays, &PyTuple_Type, &of_batch, &PyList_Type, &barred, &is_assumed,
                          &now_ms, &turn))
        return NULL;
    if (!self->is_made) {
        PyErr_SetString(PyExc_TypeError, "this Ground was never made");
        return NULL;
    }
    Views views = {.count = 0};
    Devices devices;
    Stays stays;
    Batch batch;
    if (view_devices(&views, of_devices, &devices) == 0 &&
        view_stays(&views, of_stays, &stays) == 0 &&
        view_batch(&views, of_batch, &batch, &ids) == 0) {
        if (bar_all(&devices, barred) == 0 && find_all(&devices, &batch, ids) == 0)
            noted = note_all(&self->ground, &devices, &stays, &batch, is_assumed, now_ms, turn);
        unmark_all(&devices, &batch, barred);
    }
    release(&views);
    return noted < 0 ? NULL : PyLong_FromLongLong(noted);
}

static PyMethodDef ground_methods[] = {
    {"note", (PyCFunction)ground_note, METH_VARARGS, note_doc},
    {NULL},
};

static int view_grid(Views *views, PyObject *given, Grid *grid)
{
    PyObject *of[4];
    Py_ssize_t levels, marks, starts, items;
    long long coarser, marks_coarser;
    if (!PyArg_ParseTuple(given, "dLLOOOO;a grid", &grid->per_deg, &coarser, &marks_coarser,
                          &of[0], &of[1], &of[2], &of[3]))
        return -1;
    if (!(grid->levels = view(views, of[0], 8, 0, &levels)) ||
        !(grid->marks = view(views, of[1], 1, 0, &marks)) ||
        !(grid->start = view(views, of[2], 4, 0, &starts)) ||
        !(grid->items = view(views, of[3], 4, 0, &items)))
        return -1;
    grid->coarser = coarser;
    grid->marks_coarser = marks_coarser;
    grid->level_count = levels / 4;
    grid->mark_mask = marks - 1;
    if (levels % 4)
        return refuse("levels: not of four numbers each");
    if (grid->level_count && (marks < 1 || marks & (marks - 1)))
        return refuse("marks: not a power of two");
    for (int64_t nth = 0; nth < grid->level_count; nth++)
        if (grid->levels[nth].offset < 0 || grid->levels[nth].mask < 0 ||
            grid->levels[nth].offset + grid->levels[nth].mask + 2 > starts)
            return refuse("start: fewer places than the levels have");
    if (grid->level_count && grid->start[starts - 1] > items)
        return refuse("items: fewer than start tells of");
    return 0;
}

static int view_circles(Views *views, PyObject *given, Ground *ground)
{
    PyObject *of[7];
    Py_ssize_t numbers, twins, circle_count, circles, prints, policy_ixs, policies;
    if (!PyArg_ParseTuple(given, "OOOOOOO;seven columns of circles", &of[0], &of[1], &of[2], &of[3],
                          &of[4], &of[5], &of[6]))
        return -1;
    if (!(ground->circles = view(views, of[0], 8, 0, &numbers)) ||
        !(ground->twin_of = view(views, of[1], 4, 0, &twins)) ||
        !(ground->radius_m = view(views, of[2], 8, 0, &circle_count)) ||
        !(ground->zone_of = view(views, of[3], 4, 0, &circles)) ||
        !(ground->prints = view(views, of[4], 8, 0, &prints)) ||
        !(ground->policy_of = view(views, of[5], 4, 0, &policy_ixs)) ||
        !(ground->policies = view(views, of[6], 8, 0, &policies)))
        return -1;
    SAME("zone_of", circles, circle_count)
    SAME("rows", numbers, 8 * (circle_count + twins))
    SAME("policy_ix", policy_ixs, prints)
    ground->circle_count = circle_count;
    SAME("policies", policies % 4, (Py_ssize_t)0)
    return 0;
}

static int ground_init(GroundObject *self, PyObject *args, PyObject *kwargs)
{
    PyObject *near, *far, *polygons, *circles;
    long long silence_ms, cross_gap_ms, fresh_min_ms, fresh_max_ms;
    Ground *ground = &self->ground;
    if (kwargs || self->views.count) {
        PyErr_SetString(PyExc_TypeError, "a Ground is made once, of positional arguments");
        return -1;
    }
    if (!PyArg_ParseTuple(args, "O!O!O!O!LLLLd:Ground", &PyTuple_Type, &near, &PyTuple_Type, &far,
                          &PyTuple_Type, &polygons, &PyTuple_Type, &circles, &silence_ms,
                          &cross_gap_ms, &fresh_min_ms, &fresh_max_ms, &ground->cross_m))
        return -1;
    ground->silence_ms = silence_ms;
    ground->cross_gap_ms = cross_gap_ms;
    ground->fresh_min_ms = fresh_min_ms;
    ground->fresh_max_ms = fresh_max_ms;
    if (view_grid(&self->views, near, &ground->near) < 0 ||
        view_grid(&self->views, far, &ground->wary[0]) < 0 ||
        view_grid(&self->views, polygons, &ground->wary[1]) < 0 ||
        view_circles(&self->views, circles, ground) < 0)
        return -1;
    self->is_made = 1;
    return 0;
}

static void ground_dealloc(GroundObject *self)
{
    release(&self->views);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyTypeObject GroundType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "geoengine.core.quiet._quiet.Ground",
    .tp_doc = PyDoc_STR("The zones of a Book, as the pass reads them."),
    .tp_basicsize = sizeof(GroundObject),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = PyType_GenericNew, /* all zero: nothing is held yet */
    .tp_init = (initproc)ground_init,
    .tp_dealloc = (destructor)ground_dealloc,
    .tp_methods = ground_methods,
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "_quiet", "The fixes that change nothing, in one pass.", -1, NULL,
};

PyMODINIT_FUNC PyInit__quiet(void)
{
    PyObject *made = PyModule_Create(&module);
    if (made && PyModule_AddType(made, &GroundType) < 0)
        Py_CLEAR(made);
    return made;
}
