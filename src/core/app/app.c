// SPDX-License-Identifier: MIT
//
// Applications as threads: a request is put before the thread and its answer awaited, one at a time. Between requests the thread
// sleeps, until its next tick at most.
#include "mobile.h"

static void serve(struct app *app, struct request *request)
{
	switch (request->kind) {
	case REQUEST_LINE:
		request->status = app->line(app, request);
		break;
	case REQUEST_KEY:
		request->status = !app->key(app, request->key);
		break;
	default:
		app->show(app);
		request->status = 0;
		break;
	}
	completion_done(&request->done);
}

static void app_main(void *arg)
{
	struct app *app = arg;
	for (;;) {
		if (sem_down_until(&app->arrived, app->next_ns) == 0)
			serve(app, app->request);
		else
			app->tick(app);
	}
}

err_t app_start(struct app *app)
{
	const struct thread_params params = {.name = app->name, .klass = CLASS_FAIR};
	mutex_init(&app->turn, LOCK_RANK_APP, app->name);
	sem_init(&app->arrived, 0, app->name);
	return thread_start(&params, app_main, app, &app->thread);
}

int32_t app_ask(struct app *app, struct request *request)
{
	completion_init(&request->done, app->name);
	mutex_lock(&app->turn);
	app->request = request;
	sem_up(&app->arrived);
	completion_wait(&request->done);
	mutex_unlock(&app->turn);
	return request->status;
}
